//! The arguments of `aaclip detect`, and what they mean.

use std::path::PathBuf;

use aaclip::output::{Artefact, ColourScale, RecordFormat};
use aaclip::{Error, Result};

use super::detector_args::{DetectorArgs, Verbosity};
use super::names;

const EXAMPLES: &str = "\
Examples:
  aaclip detect part.png --model ViT-B-16-plus-240
  aaclip detect part.png --class 'metal nut' --out results
  aaclip detect photos/ --save heatmap,raw --out results --format jsonl > results.jsonl
  aaclip detect part.png --model ViT-L-14-336 --adapters checkpoints/ --class mvtec:bottle
  aaclip detect 'line-3/*.jpg' --threshold 0.6 --fail-on-anomaly
  find . -name '*.png' | aaclip detect - --model ~/models/my-clip --format csv

Score:
  The score of a picture lies in 0..1 and depends on that picture, the model, the prompts and the
  settings alone, so scores of one run's settings can be compared. It is the mean of the whole
  picture's value and of the probability that the map's highest value stands for:
    sdp       components.text_prob (the class token against both text anchors at CLIP's
              temperature, 100) and sigmoid(2 * 100 * map_max / levels)
    sdp-plus  components.text_prob and map_max / levels, cut to 0..1
    aa-clip   components.image_pred ((cosine to the abnormal anchor + 1) / 2) and
    aa-sdp    sigmoid(2 * (map_max / levels - 1/2)); with --domain medical the latter alone
  A probability of 0.5 means as near to normal as to damaged.

Exit codes:
  0  all inputs were scored
  1  an anomaly was found (only with --fail-on-anomaly)
  2  any error: usage, set-up, or at least one input that could not be scored";

/// Score pictures and show where they look damaged.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct DetectArgs {
    /// Pictures: files, folders (searched recursively), patterns, or `-` for a list of paths on stdin
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,

    #[command(flatten)]
    pub detector: DetectorArgs,

    /// What the pictures show, as it is put into the prompts; `dataset:class` becomes AA-CLIP's description
    #[arg(long, value_name = "TEXT", default_value = "object")]
    pub class: String,

    /// The data set that --class belongs to, for AA-CLIP's descriptions
    #[arg(long, value_name = "NAME")]
    pub dataset_names: Option<String>,

    /// Score from which a picture is anomalous, 0..1, or a file of `aaclip calibrate`
    #[arg(long, value_name = "X|FILE", value_parser = parse_threshold, allow_negative_numbers = true)]
    pub threshold: Option<Threshold>,

    /// Map value from which a pixel belongs to a region or is white in the mask, 0..1 [default: the threshold, or 0.5]
    #[arg(long, value_name = "X", value_parser = parse_probability, allow_negative_numbers = true)]
    pub region_threshold: Option<f32>,

    /// Exit with 1 if any picture is anomalous
    #[arg(long, requires = "threshold")]
    pub fail_on_anomaly: bool,

    /// Files to write for each picture [default with --out: heatmap,overlay]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND,..")]
    pub save: Vec<ArtefactName>,

    /// Folder for those files [default with --save: aaclip-out]
    #[arg(long, short, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Colours: the same for all pictures, or stretched over each picture alone
    #[arg(long, value_enum, default_value_t = ScaleName::Fixed)]
    pub scale: ScaleName,

    /// Form of the results on stdout
    #[arg(long, value_enum, default_value_t = FormatName::Text)]
    pub format: FormatName,

    #[command(flatten)]
    pub verbosity: Verbosity,
}

names!(ArtefactName => Artefact {
    /// The painted map
    Heatmap => Artefact::Heatmap,
    /// The picture under its map
    Overlay => Artefact::Overlay,
    /// Black and white
    Mask => Artefact::Mask,
    /// The map's numbers, .npy
    Raw => Artefact::Raw,
});
names!(ScaleName => ColourScale {
    /// A map value has the same colour in every picture
    Fixed => ColourScale::Fixed,
    /// From each picture's least to its greatest value
    Auto => ColourScale::Auto,
});
names!(FormatName => RecordFormat {
    /// Score, verdict and path
    Text => RecordFormat::Text,
    /// One object for one file, an array for anything that can be more
    Json => RecordFormat::Json,
    /// One object per line
    Jsonl => RecordFormat::JsonLines,
    /// One row per picture
    Csv => RecordFormat::Csv,
});

impl DetectArgs {
    /// Refuses flags that would have no effect.
    pub fn check(&self) -> Result<()> {
        let without_files = self.save.is_empty() && self.out.is_none();
        if without_files && self.scale != ScaleName::Fixed {
            return Err(Error::Setting("--scale has no effect without --save or --out".to_owned()));
        }
        Ok(())
    }

    /// The folder files go to; `None` if none are wanted.
    pub fn output_folder(&self) -> Option<PathBuf> {
        let default = || (!self.save.is_empty()).then(super::detect::default_out);
        self.out.clone().or_else(default)
    }

    /// The kinds of files to write.
    pub fn artefacts(&self) -> Vec<Artefact> {
        let named: Vec<Artefact> = self.save.iter().map(|&name| name.into()).collect();
        match () {
            () if !named.is_empty() => named,
            () if self.out.is_some() => vec![Artefact::Heatmap, Artefact::Overlay],
            () => vec![],
        }
    }

    /// The value from which a pixel belongs to a region, given the threshold of the score.
    pub fn region_threshold(&self, threshold: Option<f32>) -> f32 {
        self.region_threshold.or(threshold).unwrap_or(0.5)
    }
}

/// Where the threshold of the score comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Threshold {
    /// It was said.
    Score(f32),
    /// A file of `aaclip calibrate`.
    File(PathBuf),
}

fn parse_threshold(text: &str) -> Result<Threshold, String> {
    match text.parse::<f32>() {
        Ok(_) => parse_probability(text).map(Threshold::Score),
        Err(_) if text.is_empty() => Err("expected a number from 0 to 1, or a file".to_owned()),
        Err(_) => Ok(Threshold::File(text.into())),
    }
}

fn parse_probability(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(x) if (0.0..=1.0).contains(&x) => Ok(x),
        _ => Err("expected a number from 0 to 1".to_owned()),
    }
}
