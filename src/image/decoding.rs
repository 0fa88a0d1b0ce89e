//! What is known about the way from a file to its picture, besides the pixels.

/// How a picture was decoded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Decoding {
    warnings: Vec<String>,
}

impl Decoding {
    /// What a user should know before trusting the picture, each a sentence without a full stop.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    pub(super) fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }
}
