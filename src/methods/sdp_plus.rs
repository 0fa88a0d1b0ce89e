//! SDP+, the trained extension of SDP (CLIP-AD, section 3.3): linear layers on the original path's tokens.

use candle_core::{D, Result, Tensor};
use candle_nn::Module;
use ndarray::Array2;

use super::{LOGIT_SCALE, first_grid, sigmoid, unit};
use crate::adapters::LinearLayers;
use crate::clip::LevelFeatures;
use crate::map::{Alignment, bilinear};

/// Per level the difference of the logits of "abnormal" and "normal", `[B, L]`: 100 times the difference of the
/// similarities of `unit(fc_l(tokens))` to the anchors `[D, 2]`.
///
/// The tokens are raw, without LayerNorm, and those of the reference's in-place updates if the features are.
///
/// # Errors
/// Another number of levels than there are layers.
pub fn logits(features: &[LevelFeatures], layers: &LinearLayers, anchors: &Tensor) -> Result<Vec<Tensor>> {
    if features.len() != layers.0.len() {
        candle_core::bail!("{} levels for {} linear layers", features.len(), layers.0.len());
    }
    let logits = |(level, layer): (&LevelFeatures, &candle_nn::Linear)| {
        let count = level.original.dim(1)? - 1;
        let tokens = unit(&layer.forward(&level.original.narrow(1, 1, count)?.contiguous()?)?)?;
        let similarity = tokens.broadcast_matmul(anchors)?;
        let difference = (similarity.narrow(D::Minus1, 1, 1)? - similarity.narrow(D::Minus1, 0, 1)?)?;
        difference.squeeze(D::Minus1)? * LOGIT_SCALE
    };
    features.iter().zip(&layers.0).map(logits).collect()
}

/// The trained part of the first picture's map, `[size, size]`: per level the logits up-sampled with aligned corners,
/// then the softmax; summed over the levels.
///
/// # Errors
/// Only those of reading the tensors.
pub fn trained_map(logits: &[Tensor], size: usize) -> Result<Array2<f32>> {
    sum_of_levels(logits, size, Alignment::Corners)
}

/// [`trained_map`] with either alignment.
pub(crate) fn sum_of_levels(logits: &[Tensor], size: usize, alignment: Alignment) -> Result<Array2<f32>> {
    let mut sum = Array2::zeros((size, size));
    for level in logits {
        // The softmax of two logits is the logistic function of their difference, and up-sampling is linear.
        let difference = bilinear(first_grid(level)?.view(), (size, size), alignment);
        sum += &difference.mapv(|d| sigmoid(f64::from(d)) as f32);
    }
    Ok(sum)
}

/// The probability that a value of the final map stands for: its mean over the levels, cut to 0..1. The map is a sum
/// of one probability per level and of SDP's map, which is small beside them.
pub fn probability(map_value: f32, levels: usize) -> f32 {
    (map_value / levels.max(1) as f32).clamp(0.0, 1.0)
}

/// The score of a picture: the mean of the class token's probability and that of the map's highest value.
pub fn score(text_probability: f32, map_max: f32, levels: usize) -> f32 {
    0.5 * (text_probability + probability(map_max, levels))
}
