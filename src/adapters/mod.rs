//! Trained adapters: AA-CLIP's residual adapters and projections, SDP+'s linear layers, and the files they come in.

mod error;
mod file;
mod fit;
mod image;
mod locate;
mod method;
mod text;

use candle_core::{D, Result, Tensor};
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

/// AA-CLIP's residual adapter on every token of `[B, L, W]`, `weight` being `[W, W]`:
/// `a = LeakyReLU(x A^T)`, brought to the length of `x`, then `share a + (1 - share) x` (section 3.2).
///
/// Built from plain operations, so that gradients pass.
fn residual(x: &Tensor, weight: &Tensor, share: Share) -> Result<Tensor> {
    let adapted = leaky_relu(&times_transposed(x, weight)?)?;
    let norm = |t: &Tensor| t.sqr()?.sum_keepdim(D::Minus1)?.sqrt();
    let scale = norm(x)?.broadcast_div(&norm(&adapted)?)?;
    adapted.broadcast_mul(&scale)?.affine(share.0, 0.0)? + x.affine(1.0 - share.0, 0.0)?
}

/// `x W^T` on every row of `[.., I]`, `weight` being `[O, I]`.
fn times_transposed(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let (outputs, inputs) = weight.dims2()?;
    let mut shape = x.dims().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = outputs;
    }
    // One product over all rows: a batched one would copy the weight for every picture.
    x.contiguous()?.reshape(((), inputs))?.matmul(&weight.t()?)?.reshape(shape)
}

/// `max(x, 0.01 x)`.
fn leaky_relu(x: &Tensor) -> Result<Tensor> {
    x.maximum(&(x * 0.01)?)
}
