//! The methods: from a picture and a class text to a map and a score.
//!
//! A method is one folder here and one line in [`METHODS`]. Its entry ([`Method`]) describes it before
//! weights are read; a loaded method is a [`Model`], and a [`ClassModel`] for a class. The rest of the crate
//! reads the table: nothing outside this folder knows a method by name.

pub mod aa_clip;
pub mod aa_sdp;
mod anchored;
mod caution;
mod levels;
mod model;
pub mod musc;
pub mod nearest;
pub mod options;
pub mod reference;
pub mod sdp;
pub mod sdp_plus;
pub mod trained;
#[cfg(feature = "train")]
pub mod training;
pub mod winclip;

use std::sync::Arc;

use candle_core::Tensor;
use ndarray::Array2;
use sha2::{Digest, Sha256};

use crate::Result;

pub use crate::clip::LOGIT_SCALE;
pub(crate) use crate::clip::unit;
pub use anchored::{Anchored, TwoAnchors};
pub(crate) use levels::check_levels;
pub use levels::quarters;
pub use model::{Canvas, ClassModel, Components, ImageTower, Model, Setup};
pub use options::{MethodOption, OptionValues};
pub use trained::{Trained, TrainedError, TrainedFormat};

/// All methods, in the order of listings.
pub static METHODS: &[&Method] = &[
    &sdp::METHOD,
    &sdp_plus::METHOD,
    &aa_clip::METHOD,
    &aa_sdp::METHOD,
    &winclip::METHOD,
    &musc::METHOD,
    &nearest::METHOD,
    &reference::METHOD,
];

/// The method without a named method and without trained weights.
pub static DEFAULT: &Method = &sdp::METHOD;

/// The description of a method, known before weights are read.
#[non_exhaustive]
pub struct Method {
    /// Its name on the command line, in records and in files of trained weights.
    pub name: &'static str,
    /// Its description in one line.
    pub about: &'static str,
    /// Its publication.
    pub paper: &'static str,
    /// Its default prompt ensemble; `None`: it uses no prompts.
    pub prompts: Option<&'static str>,
    /// Whether the official code describes the classes of known data sets with AA-CLIP's texts.
    pub describes_classes: bool,
    /// The options that have an effect on it.
    pub options: &'static [&'static MethodOption],
    /// The format of its trained weights; `None`: it has no trained weights.
    pub trained: Option<&'static TrainedFormat>,
    /// Whether it compares with pictures of good parts.
    pub references: References,
    /// The input that it processes together.
    pub scope: Scope,
    /// The meaning of [`Components::image`].
    pub image_value: &'static str,
    /// How the score is computed from [`Components`], in words.
    pub score: &'static str,
    /// Loads the method.
    pub load: fn(&Setup) -> Result<Arc<dyn Model>>,
    /// Its trainer; `None`: this program does not train it.
    #[cfg(feature = "train")]
    pub trainer: Option<&'static training::Trainer>,
}

/// Whether a method compares with pictures of good parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum References {
    /// It does not use them.
    Never,
    /// It can use them.
    Optional,
    /// It needs them.
    Needed,
}

/// What is known of the pictures that others are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trust {
    /// They show good parts.
    #[default]
    Good,
    /// Some may show damage.
    Mixed,
}

/// The input that a method processes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One picture.
    Picture,
    /// A whole folder, in two passes.
    Folder,
}

impl Method {
    /// The method with this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        METHODS.iter().copied().find(|m| m.name == name)
    }
}

impl PartialEq for Method {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Method {}

impl std::fmt::Debug for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Method({})", self.name)
    }
}

/// The grid of `rows` and `columns` of the first picture of a batch `[B, L]`.
pub(crate) fn first_grid(
    values: &Tensor,
    (rows, columns): (usize, usize),
) -> candle_core::Result<Array2<f32>> {
    let row = values.narrow(0, 0, 1)?.flatten_all()?.to_vec1::<f32>()?;
    Array2::from_shape_vec((rows, columns), row).map_err(candle_core::Error::wrap)
}

/// Tells pictures `[1, 3, H, W]` apart by their pixels: the SHA-256 of the tower's input.
pub(crate) fn input_digest(picture: &Tensor) -> candle_core::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    for value in picture.flatten_all()?.to_vec1::<f32>()? {
        hash.update(value.to_le_bytes());
    }
    Ok(hash.finalize().into())
}

/// Values stretched to 0..1 from the smallest to the largest; NaN if all are equal.
pub(crate) fn stretched(values: &[f32]) -> Vec<f32> {
    let low = values.iter().copied().fold(f32::INFINITY, f32::min);
    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    values.iter().map(|v| (v - low) / (high - low)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_options_mean_one_thing() {
        let mut options: Vec<&MethodOption> =
            METHODS.iter().flat_map(|m| m.options.iter().copied()).collect();
        options.sort_by_key(|o| o.name);
        for pair in options.windows(2) {
            assert!(pair[0].name != pair[1].name || std::ptr::eq(pair[0], pair[1]), "{}", pair[0].name);
        }
        for method in METHODS {
            assert_eq!(Method::find(method.name), Some(*method));
            assert!(!method.about.is_empty() && !method.paper.is_empty() && !method.score.is_empty());
        }
        assert_eq!(Method::find("nothing"), None);
    }
}
