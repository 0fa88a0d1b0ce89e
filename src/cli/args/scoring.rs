//! The arguments of every command that turns pictures into records.

use std::path::PathBuf;

use crate::cli::args::detector::DetectorArgs;

/// A detector, its class, and the thresholds.
#[derive(Debug, clap::Args)]
pub struct ScoringArgs {
    /// The object in the pictures, as inserted into the prompts; `dataset:class` becomes AA-CLIP's description. With the
    /// built-in model it is a label of the results and does not change scores [default: the class of the threshold file,
    /// if it has one class; else `object`]
    #[arg(long, value_name = "TEXT")]
    pub class: Option<String>,

    /// The data set that --class belongs to, for AA-CLIP's descriptions
    #[arg(long, value_name = "NAME")]
    pub dataset_names: Option<String>,

    /// Score from which a picture is anomalous, 0..1, or a file of `aaclip calibrate`
    #[arg(long, value_name = "X|FILE", value_parser = parse_threshold, allow_negative_numbers = true)]
    pub threshold: Option<Threshold>,

    /// Map value from which a pixel belongs to a region or is white in the mask, 0..1 [default: that of the threshold
    /// file, else where colours are plain to see]
    #[arg(long, value_name = "X", value_parser = parse_probability, allow_negative_numbers = true)]
    pub region_threshold: Option<f32>,

    #[command(flatten)]
    pub detector: DetectorArgs,
}

/// The source of the score's threshold.
#[derive(Debug, Clone, PartialEq)]
pub enum Threshold {
    /// A number.
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
