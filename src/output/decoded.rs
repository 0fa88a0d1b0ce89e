//! How a picture was decoded, in its record.

use serde::{Deserialize, Serialize};

use crate::image::Decoding;

/// How a picture was decoded: what was read and what was assumed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decoded {
    /// Bits per sample of the file.
    pub depth: u32,
    /// The type of the samples: `unsigned`, `signed` or `float`.
    pub samples: String,
    /// The values that became black and white, for samples of more than 8 bits.
    pub range: Option<SampleEnds>,
    /// Pages of the file.
    pub pages: usize,
    /// The orientation that was applied, as in EXIF; 1: none.
    pub orientation: u8,
    /// What a user should know before trusting the picture.
    pub warnings: Vec<String>,
}

/// The values that became black and white.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SampleEnds {
    /// Black.
    pub min: f64,
    /// White.
    pub max: f64,
}

impl Decoded {
    /// `None` if there is nothing to say: an upright picture of one page with at most 8 bits per sample.
    pub fn of(decoding: &Decoding) -> Option<Self> {
        (!decoding.is_plain()).then(|| Self {
            depth: decoding.depth,
            samples: decoding.kind.name().to_owned(),
            range: decoding.range.map(|(min, max)| SampleEnds { min, max }),
            pages: decoding.pages,
            orientation: decoding.orientation,
            warnings: decoding.warnings().to_vec(),
        })
    }

    /// The same in words, for people.
    pub fn text(&self) -> String {
        let mut parts = Vec::new();
        if self.depth > 8 || self.samples != "unsigned" {
            let kind = if self.samples == "unsigned" { "" } else { &self.samples };
            parts.push(format!("{} bits {kind}", self.depth).trim_end().to_owned());
        }
        if let Some(SampleEnds { min, max }) = self.range {
            parts.push(format!("{min} is black, {max} is white"));
        }
        if self.pages > 1 {
            parts.push(format!("{} pages", self.pages));
        }
        if self.orientation > 1 {
            parts.push(format!("turned upright (orientation {})", self.orientation));
        }
        parts.extend(self.warnings.iter().cloned());
        parts.join("; ")
    }
}
