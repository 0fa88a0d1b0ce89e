//! From a picture file to the tensor the vision tower takes.

/// Why a picture could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {}
