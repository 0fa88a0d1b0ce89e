//! How patch features and text anchors become a map and a score.

pub mod aa_clip;
pub mod aa_sdp;
pub mod sdp;
pub mod sdp_plus;

use candle_core::{D, Result, Tensor};
use ndarray::Array2;

/// CLIP's temperature. Both reference methods use this constant and never read `logit_scale`.
pub const LOGIT_SCALE: f64 = 100.0;

pub use crate::adapters::Method;

/// The probability of "abnormal" that a value of a method's final map stands for, 0..1, comparable from picture to
/// picture because it depends on nothing but the value.
pub fn probability(method: Method, map_value: f32, levels: usize) -> f32 {
    match method {
        Method::Sdp => sdp::probability(map_value, levels),
        Method::SdpPlus => sdp_plus::probability(map_value, levels),
        Method::AaClip | Method::AaSdp => aa_clip::probability(map_value, levels),
    }
}

/// Rows of unit length along the last axis.
pub(crate) fn unit(x: &Tensor) -> Result<Tensor> {
    x.broadcast_div(&x.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?)
}

/// A grid `[g, g]` of the first picture of a batch `[B, L]`.
pub(crate) fn first_grid(values: &Tensor) -> Result<Array2<f32>> {
    let row = values.narrow(0, 0, 1)?.flatten_all()?.to_vec1::<f32>()?;
    let side = row.len().isqrt();
    Ok(Array2::from_shape_fn((side, side), |(y, x)| row[y * side + x]))
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
