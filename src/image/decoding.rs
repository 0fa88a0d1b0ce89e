//! What is known about the way from a file to its picture, besides the pixels.

use super::wide::SampleKind;

/// How a picture was decoded.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Decoding {
    /// Bits per sample of the file.
    pub depth: u32,
    /// The type of the file's samples.
    pub kind: SampleKind,
    /// The file's values that became black and white, for samples of more than 8 bits.
    pub range: Option<(f64, f64)>,
    /// Pages of the file.
    pub pages: usize,
    /// The orientation that was applied, as in EXIF; 1: none.
    pub orientation: u8,
    warnings: Vec<String>,
}

impl Default for Decoding {
    /// An upright picture of 8 bits per sample.
    fn default() -> Self {
        let kind = SampleKind::Unsigned;
        Self { depth: 8, kind, range: None, pages: 1, orientation: 1, warnings: Vec::new() }
    }
}

impl Decoding {
    /// What a user should know before trusting the picture, each a sentence without a full stop.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Whether nothing differs from an upright picture of one page with 8 bits or less per sample.
    pub fn is_plain(&self) -> bool {
        let depth = if self.depth < 8 { 8 } else { self.depth };
        Self { depth, ..self.clone() } == Self::default()
    }

    pub(super) fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }
}
