//! Trained adapters: AA-CLIP's residual adapters and projections, SDP+'s linear layers, and the files they come in.

mod error;
mod file;
mod fit;
mod image;
mod locate;
mod method;
mod projection;
mod text;

use candle_nn::Linear;

pub use error::AdapterError;
pub use file::{AdapterFile, AdapterHeader};
pub use fit::{AaClipOptions, AdapterFit};
pub use image::ImageAdapter;
pub use method::Method;
pub use text::AdaptedText;

/// SDP+'s linear layers, one per level, from the tower's width to the shared space.
#[derive(Debug, Clone)]
pub struct LinearLayers(pub Vec<Linear>);

/// How much of a token is the adapter's, 0..1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share(f64);

impl Share {
    /// AA-CLIP's weight of both towers' adapters.
    pub const AA_CLIP: Self = Self(0.1);

    /// `None` outside 0..1.
    pub fn new(share: f64) -> Option<Self> {
        (0.0..=1.0).contains(&share).then_some(Self(share))
    }

    /// The share as a number.
    pub fn value(self) -> f64 {
        self.0
    }
}
