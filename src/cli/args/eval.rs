//! The arguments of `aaclip eval`.

use std::path::PathBuf;

use aaclip::dataset::Layout;
use aaclip::evaluation::TableFormat;
use aaclip::metrics::{PRO_LIMIT, PixelOptions, Resolution};
use aaclip::{Error, Result};
use clap::ValueEnum;

use crate::cli::args::detect::ArtefactName;
use crate::cli::args::detector::DetectorArgs;
use crate::cli::args::names;
use crate::cli::args::number::whole;
use crate::cli::classes::ClassArgs;

const EXAMPLES: &str = "\
Examples:
  aaclip eval mvtec/ --model ViT-B-16-plus-240 --out mvtec-sdp
  aaclip eval mvtec/ --model ViT-L-14-336 --adapters checkpoints/ --compare published
  aaclip eval VisA/ --classes candle,pcb1 --limit 20
  aaclip eval parts/ --class 'ball screw' --save overlay --format markdown
  aaclip eval metadata/full-shot.jsonl --pixels none

Figures:
  image         by our score, which depends on each picture alone
  ref.          by the official evaluation's score, which stretches each part of the score over all
                pictures of the class, as in the papers
  pixel         over all pixels of the maps at the model's resolution, against masks made as the
                method's reference makes them; PRO is the area under the per-region overlap up to a
                false-positive rate of 0.3, divided by 0.3. Maps of --tile are resized to that
                resolution, so figures with and without tiles compare the same pixels
  All thresholds are used and ties count half. The mean is over the classes that have the figure.

Results:
  --out gets manifest.json, results.jsonl and maps.f32 (an interrupted run continues from these; the
  maps take 4 bytes per pixel, 1.1 MB per picture at 518 px), table.md, table.csv, table.json and
  report.html.

Exit codes:
  0  everything was evaluated
  2  any error: usage, set-up, or at least one picture, mask or line that could not be used, an empty
     mask of a defective picture, or a file among the pictures that may be one (.jp2, .bak)";

/// Evaluate a method on labelled pictures.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct EvalArgs {
    /// The folder of a data set or of one class, or a metadata file (see `aaclip data check --help`)
    #[arg(value_name = "ROOT")]
    pub root: PathBuf,

    /// The arrangement of the files, instead of detecting it
    #[arg(long, value_name = "NAME")]
    pub layout: Option<Layout>,

    /// Only these classes
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub classes: Vec<String>,

    /// At most this many pictures of each class, good and defective alike
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,

    #[command(flatten)]
    pub detector: DetectorArgs,

    /// Compare each picture with N others of its class, labels unknown (default 32)
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "32", value_parser = whole::<usize>(1..=10_000), conflicts_with = "reference")]
    pub peers: Option<usize>,

    /// Compare with K good pictures of each class: of its training pictures, else of its test pictures, which are then
    /// left out
    #[arg(long, value_name = "K", value_parser = whole::<usize>(1..=10_000), conflicts_with_all = ["peers", "reference"])]
    pub shots: Option<usize>,

    /// The draw of --shots
    #[arg(long, value_name = "N", default_value_t = 0, requires = "shots")]
    pub seed: u64,

    #[command(flatten)]
    pub naming: ClassArgs,

    /// Pixel figures: over every distinct value, over 20-bit bins (one pass, with error bounds), or none
    #[arg(long, value_enum, default_value_t = PixelsName::Exact)]
    pub pixels: PixelsName,

    /// The largest false-positive rate in the integral of PRO
    #[arg(long, value_name = "X", default_value_t = PRO_LIMIT, value_parser = parse_rate)]
    pub pro_limit: f64,

    /// Folder for results and reports
    #[arg(long, short, value_name = "DIR", default_value = "aaclip-eval")]
    pub out: PathBuf,

    /// Delete earlier results in that folder
    #[arg(long)]
    pub fresh: bool,

    /// Remove the maps at the end
    #[arg(long)]
    pub discard_maps: bool,

    /// Files to write for the pictures with the worst errors, in OUT/pictures, the worst first
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND,..")]
    pub save: Vec<ArtefactName>,

    /// Number of pictures with such files; 0 for all
    #[arg(long, value_name = "N", default_value_t = 100, requires = "save")]
    pub save_top: usize,

    /// Print other figures beside these
    #[arg(long, value_enum)]
    pub compare: Option<CompareName>,

    /// Form of the table on stdout
    #[arg(long, value_enum, default_value_t = TableFormatName::Text)]
    pub format: TableFormatName,
}

names!(TableFormatName => TableFormat {
    /// Aligned columns, in percent
    Text => TableFormat::Text,
    /// Markdown, in percent
    Markdown => TableFormat::Markdown,
    /// Comma-separated, 0..1
    Csv => TableFormat::Csv,
    /// The same for Excel: with a byte order mark
    CsvBom => TableFormat::CsvBom,
    /// One object with every figure, 0..1
    Json => TableFormat::Json,
});

/// How pixel figures are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PixelsName {
    /// Every distinct value is a threshold
    Exact,
    /// Values rounded to 11 binary digits
    Binned,
    /// No pixel figures
    None,
}

/// The figures to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompareName {
    /// The papers' figures
    Published,
}

impl EvalArgs {
    /// Checks that every given flag has an effect.
    ///
    /// # Errors
    /// A flag has no effect; the first such flag is named.
    pub fn check(&self) -> Result<()> {
        let csv = [TableFormatName::Csv, TableFormatName::CsvBom];
        if self.compare.is_some() && csv.contains(&self.format) {
            return Err(Error::Setting("--compare has no effect with --format csv".to_owned()));
        }
        Ok(())
    }

    /// The options of pixel figures; `None` if they are not wanted.
    pub fn pixel_options(&self) -> Option<PixelOptions> {
        let resolution = match self.pixels {
            PixelsName::Exact => Resolution::Exact,
            PixelsName::Binned => Resolution::Binned,
            PixelsName::None => return None,
        };
        let mut options = PixelOptions::default();
        (options.resolution, options.pro_limit) = (resolution, self.pro_limit);
        Some(options)
    }
}

fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if x > 0.0 && x <= 1.0 => Ok(x),
        _ => Err("expected a number above 0, at most 1".to_owned()),
    }
}
