//! `aaclip data`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use aaclip::Result;
use aaclip::dataset::{Dataset, Label, Layout, Problem, Sample};
use aaclip::image::{DecodeLimits, DecodeOptions, SampleRange};
use aaclip::passed::PassedOver;
use clap::Subcommand;
use serde::Serialize;

use crate::cli::args::detector::OrientationName;
use crate::cli::exit_code;
use crate::cli::messages;

const EXAMPLES: &str = "\
Examples:
  aaclip data check datasets/mvtec
  aaclip data check datasets/mvtec/bottle --fast
  aaclip data check datasets/VisA --classes candle,pcb1
  aaclip data check parts/ --layout folders --json
  aaclip data check metadata/full-shot.jsonl

Layouts (detected; the first that matches is used):
  visa          ROOT/split_csv/1cls.csv: the official test split
  visa-raw      ROOT/CLASS/Data/Images/{Normal,Anomaly}: every picture
  mvtec-ad-2    ROOT/CLASS/test_public/{good,bad}
  bmad          ROOT/{Brain_AD,Liver_AD,RESC,...}/test/{good,Ungood}
  mvtec-loco    ROOT/CLASS/test/{good,DEFECT}, ROOT/CLASS/ground_truth/DEFECT/NNN/*.png
  btad, mpdd, mvtec-ad
                ROOT/CLASS/test/{good,DEFECT}, ROOT/CLASS/ground_truth/DEFECT
  real-iad      ROOT/CLASS.json, the file or its folder
  folders       good and defect, perhaps masks
  isic          ISBI2016_ISIC_Part1_Test_Data and _GroundTruth
  segmentation  images and masks, or Original and Ground Truth: CVC-*, Kvasir
  head-ct       head_ct and labels.csv
  brain-mri     yes and no
  meta-json     CLIP-AD's meta.json, the file or its folder
  json-lines    AA-CLIP's *.jsonl, the file or its folder

A mask is a picture or a .npy array; what is not 0 is damaged. Warnings (JPEG masks, masks in the
alpha channel, pictures turned by EXIF beside masks that are not), hidden files and texts are no
problems. A file of any other ending among pictures or masks is one: it may be a picture.

Exit code: 0 without a problem, 2 with any problem.";

/// Check data sets before evaluation.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct DataArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Count the pictures of a data set and name every one that cannot be used
    #[command(after_long_help = EXAMPLES)]
    Check {
        /// The folder of a data set or of one class, or a metadata file
        root: PathBuf,
        /// The arrangement of the files, instead of detecting it
        #[arg(long, value_name = "NAME")]
        layout: Option<Layout>,
        /// Only these classes; problems in the file names of other classes are still listed
        #[arg(long, value_name = "A,B", value_delimiter = ',')]
        classes: Vec<String>,
        /// Do not decode the pictures: check the names of the files only
        #[arg(long)]
        fast: bool,
        /// One JSON object
        #[arg(long)]
        json: bool,
        /// The EXIF orientation of pictures and masks: turn them upright, or take their rows as they are stored
        #[arg(long, value_enum, default_value_t = OrientationName::Apply)]
        orientation: OrientationName,
        /// Values of samples of more than 8 bits that become black and white, as in `detect`: auto, full, reference or MIN:MAX
        #[arg(long, value_name = "RANGE", default_value = "auto", allow_hyphen_values = true)]
        range: SampleRange,
        /// The largest picture that is decoded, in megapixels
        #[arg(long, value_name = "N", default_value_t = DecodeLimits::default().max_pixels / 1_000_000)]
        max_megapixels: u64,
    },
}

pub fn run(args: DataArgs) -> Result<ExitCode> {
    let Action::Check { root, layout, classes, fast, json, orientation, range, max_megapixels } = args.action;
    let mut data = Dataset::open(&root, layout)?;
    if !classes.is_empty() {
        data.keep_classes(&classes)?;
    }
    let (mut problems, mut warnings) = (data.problems.clone(), Vec::new());
    if !fast {
        let bar = messages::progress().items(data.samples.len() as u64, "decoding");
        let mut options = DecodeOptions::default();
        options.limits.max_pixels = max_megapixels.saturating_mul(1_000_000);
        options.orientation = orientation.into();
        options.range = range;
        let found = data.check(&options, || bar.inc(1));
        let (doubts, faults): (Vec<_>, _) = found.into_iter().partition(|problem| problem.kind.is_warning());
        warnings = doubts;
        problems.extend(faults);
        bar.finish_and_clear();
    }
    let report = Report::new(&data, &problems, &warnings, !fast);
    let text = if json { format!("{:#}\n", serde_json::json!(report)) } else { report.table() };
    messages::print(text)?;
    Ok(exit_code(problems.is_empty()))
}

/// The result of a check.
#[derive(Serialize)]
struct Report<'a> {
    root: String,
    layout: Layout,
    /// Whether the pictures were decoded, not only listed.
    decoded: bool,
    classes: Vec<Counts<'a>>,
    total: Counts<'a>,
    problems: &'a [Problem],
    warnings: &'a [Problem],
    passed_over: &'a PassedOver,
}

/// Counts of the samples of a class.
#[derive(Default, Serialize)]
struct Counts<'a> {
    class: &'a str,
    pictures: usize,
    good: usize,
    anomalous: usize,
    masks: usize,
    kinds: BTreeMap<&'a str, usize>,
}

impl<'a> Counts<'a> {
    fn of(class: &'a str, samples: impl Iterator<Item = &'a Sample>) -> Self {
        let mut counts = Self { class, ..Self::default() };
        for sample in samples {
            counts.pictures += 1;
            counts.good += usize::from(sample.label == Label::Normal);
            counts.anomalous += usize::from(sample.label == Label::Anomalous);
            counts.masks += usize::from(!sample.mask.files().is_empty());
            *counts.kinds.entry(&sample.kind).or_default() += 1;
        }
        counts
    }
}

impl<'a> Report<'a> {
    fn new(data: &'a Dataset, problems: &'a [Problem], warnings: &'a [Problem], decoded: bool) -> Self {
        let of_class =
            |class| Counts::of(class, data.samples.iter().filter(move |s: &&Sample| s.class == class));
        Self {
            root: data.root.display().to_string(),
            layout: data.layout,
            decoded,
            classes: data.classes().into_iter().map(of_class).collect(),
            total: Counts::of("total", data.samples.iter()),
            problems,
            warnings,
            passed_over: &data.passed_over,
        }
    }

    fn table(&self) -> String {
        let name = |c: &Counts| c.class.escape_debug().to_string();
        let width =
            self.classes.iter().map(|c| name(c).chars().count()).max().unwrap_or(0).max("total".len());
        let kinds = |c: &Counts| {
            let kinds = c.kinds.iter().map(|(kind, n)| format!("{} {n}", kind.escape_debug()));
            kinds.collect::<Vec<_>>().join(", ")
        };
        let mut text = format!("{:width$}  pictures   good  anomalous  masks  kinds\n", "class");
        let rows = self.classes.iter().map(|c| (c, kinds(c)));
        // The kinds of all classes together are not informative.
        for (counts, kinds) in rows.chain([(&self.total, String::new())]) {
            let Counts { pictures, good, anomalous, masks, .. } = counts;
            let name = name(counts);
            let row = format!("{name:width$}  {pictures:8}  {good:5}  {anomalous:9}  {masks:5}  {kinds}");
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}", row.trim_end());
        }
        let depth = if self.decoded { "every file decoded" } else { "names only, no file decoded" };
        let found = match self.problems.len() {
            0 => "no problem".to_owned(),
            1 => "1 problem:".to_owned(),
            n => format!("{n} problems:"),
        };
        let _ = writeln!(text, "layout {}; {depth}; {found}", self.layout);
        for problem in self.problems {
            let _ = writeln!(text, "{problem}");
        }
        for warning in messages::doubts(self.warnings) {
            let _ = writeln!(text, "{warning}");
        }
        if !self.passed_over.is_empty() {
            let _ = writeln!(text, "passed over: {}", self.passed_over);
        }
        text
    }
}
