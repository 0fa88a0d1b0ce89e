//! One picture through the built-in model.

use std::time::Instant;

use aaclip::anchors::AnchorCache;
use aaclip::image::{Picture, PixelMode};
use aaclip::weights::builtin;
use aaclip::{Detector, Error, Result};
use serde::Serialize;

/// What it gave and what it took.
#[derive(Debug, Serialize)]
pub struct Trial {
    /// The score.
    pub score: f32,
    /// What the score must be.
    pub expected: f32,
    /// Opening the model, in milliseconds.
    pub open_ms: f64,
    /// Encoding the prompts and reading the image tower, in milliseconds.
    pub prompts_ms: f64,
    /// Scoring the picture, in milliseconds.
    pub picture_ms: f64,
}

/// The score of [`picture`].
const EXPECTED: f32 = 0.26363;

/// Sums are made in another order on other processors; a fault moves the score by far more.
const TOLERANCE: f32 = 2e-3;

impl Trial {
    /// What is wrong with it.
    pub fn problem(&self) -> Option<String> {
        let far = (self.score - self.expected).abs() > TOLERANCE;
        far.then(|| {
            format!(
                "the built-in model gave a generated picture {:.4}, expected {:.4}: this build or processor computes wrongly",
                self.score, self.expected
            )
        })
    }
}

/// Scores [`picture`] as `detect` does, without any cache.
pub fn run() -> Result<Trial> {
    let started = Instant::now();
    let detectors = Detector::builder(builtin::NAME).cache(AnchorCache::disabled()).open()?;
    let opened = started.elapsed();
    let detector = detectors.detector(&detectors.describe("object", None)?)?;
    let read = started.elapsed();
    let found = detector.detect(&picture()?)?;
    let finished = started.elapsed();
    let ms = |d: std::time::Duration| (d.as_secs_f64() * 1e4).round() / 10.0;
    Ok(Trial {
        score: found.score,
        expected: EXPECTED,
        open_ms: ms(opened),
        prompts_ms: ms(read - opened),
        picture_ms: ms(finished - read),
    })
}

/// Stripes with a bright blot.
fn picture() -> Result<Picture> {
    let (width, height) = (240usize, 180usize);
    let pixel = |i: usize| {
        let (x, y) = (i % width, i / width);
        let blot = (60..90).contains(&x) && (50..85).contains(&y);
        let stripe = if (x / 6 + y / 9) % 2 == 0 { 96 } else { 120 };
        if blot { [235, 225, 60] } else { [stripe, stripe, stripe + 8] }
    };
    let samples: Vec<u8> = (0..width * height).flat_map(pixel).collect();
    Picture::new(width, height, PixelMode::Rgb, samples)
        .ok_or_else(|| Error::Setting("the generated picture has the wrong size".to_owned()))
}
