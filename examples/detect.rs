//! A detector in five lines: `cargo run --release --example detect -- MODEL PICTURE [CHECKPOINT]`.
//!
//! MODEL is `builtin`, a published model's name, or a folder; CHECKPOINT the trained weights of a method.

use std::path::Path;

use aaclip::image::{DecodeOptions, decode};
use aaclip::{Detection, Detector};

/// Any model, without training.
pub fn detect(model: &str, picture: &Path, class: &str) -> aaclip::Result<Detection> {
    let detector = Detector::builder(model).class(class).build()?;
    let picture = decode(picture, &DecodeOptions::default())?;
    detector.detect(&picture)
}

/// The same with trained weights, which determine the method.
pub fn detect_with(model: &str, checkpoint: &Path, picture: &Path, class: &str) -> aaclip::Result<Detection> {
    let detector = Detector::builder(model).checkpoint(checkpoint).class(class).build()?;
    detector.detect(&decode(picture, &DecodeOptions::default())?)
}

#[allow(dead_code, reason = "tests use the functions alone")]
fn main() -> aaclip::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let found = match &arguments[..] {
        [model, picture] => detect(model, picture.as_ref(), "object")?,
        [model, picture, weights] => detect_with(model, weights.as_ref(), picture.as_ref(), "object")?,
        _ => return Err(aaclip::Error::Setting("usage: detect MODEL PICTURE [CHECKPOINT]".to_owned())),
    };
    let highest = found.probabilities().iter().copied().fold(0.0, f32::max);
    println!("score {:.4}, highest probability of a pixel {highest:.4}", found.score);
    Ok(())
}
