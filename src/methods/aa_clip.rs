//! AA-CLIP's decision (arXiv 2503.06661): adapted patch features compared with adapted text anchors.

use candle_core::{D, Result, Tensor};
use ndarray::Array2;

use super::{LOGIT_SCALE, first_grid, sigmoid, unit};
use crate::adapters::ImageAdapter;
use crate::anchors::Domain;
use crate::clip::{LevelFeatures, VisionTower};
use crate::map::{Alignment, Sigma, bilinear, blur};

/// The Gaussian that smooths each level's map on the patch grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Blur {
    /// Taps; odd.
    pub kernel: usize,
    /// Standard deviation, in patches.
    pub sigma: Sigma,
}

impl Blur {
    /// The reference's: 7 taps and 1.0 for industrial pictures, 9 taps and 1.5 for medical ones.
    pub fn of(domain: Domain) -> Self {
        match domain {
            Domain::Industrial => Self { kernel: 7, sigma: Sigma::AA_CLIP_INDUSTRIAL },
            Domain::Medical => Self { kernel: 9, sigma: Sigma::AA_CLIP_MEDICAL },
        }
    }
}

/// What the adapters make of a batch.
#[derive(Debug, Clone)]
pub struct Projected {
    /// Per level, `[B, L, D]`, of unit length.
    pub patches: Vec<Tensor>,
    /// `[B, D]`: the mean over patches of unit vectors; not of unit length itself.
    pub image: Tensor,
}

/// Projects the patch tokens of each level, and those of the last one for the image as a whole.
///
/// # Errors
/// No level at all, or another number of levels than the adapter has projections for.
pub fn project(
    vision: &VisionTower,
    features: &[LevelFeatures],
    adapter: &ImageAdapter,
) -> Result<Projected> {
    let mut patches = Vec::with_capacity(features.len());
    let mut last = None;
    for (i, level) in features.iter().enumerate() {
        let count = level.tokens.dim(1)? - 1;
        let tokens = vision.ln_post(&level.tokens.narrow(1, 1, count)?)?;
        patches.push(unit(&adapter.segment(i, &tokens)?)?);
        last = Some(tokens);
    }
    let Some(last) = last else { candle_core::bail!("AA-CLIP needs at least one level") };
    let image = unit(&adapter.detect(&last)?)?.mean(1)?;
    Ok(Projected { patches, image })
}

/// A level's map on the patch grid before smoothing: `(100 s_1 + 1 - 100 s_0) / 2`, `[B, L]`.
///
/// `patches` is `[B, L, D]`, `anchors` `[D, 2]`.
///
/// # Errors
/// Anchors of another width.
pub fn level_map(patches: &Tensor, anchors: &Tensor) -> Result<Tensor> {
    let similarity = patches.broadcast_matmul(anchors)?;
    let difference = (similarity.narrow(D::Minus1, 1, 1)? - similarity.narrow(D::Minus1, 0, 1)?)?;
    difference.squeeze(D::Minus1)?.affine(LOGIT_SCALE / 2.0, 0.5)
}

/// The reference's image prediction, `(d . t_abnormal + 1) / 2`: `[B]`. The normal anchor plays no part in it.
///
/// # Errors
/// Anchors of another width.
pub fn image_prediction(image: &Tensor, anchors: &Tensor) -> Result<Tensor> {
    image.matmul(&anchors.narrow(1, 1, 1)?.contiguous()?)?.squeeze(1)?.affine(0.5, 0.5)
}

/// The final map of the first picture: each level smoothed on the patch grid, up-sampled with aligned corners to
/// `[size, size]`, and summed. `levels` are `[B, L]`.
///
/// # Errors
/// Only those of reading the tensors.
pub fn final_map(levels: &[Tensor], size: usize, smoothing: Blur) -> Result<Array2<f32>> {
    let mut sum = Array2::zeros((size, size));
    for level in levels {
        let grid = blur(first_grid(level)?.view(), smoothing.kernel, smoothing.sigma);
        sum += &bilinear(grid.view(), (size, size), Alignment::Corners);
    }
    Ok(sum)
}

/// The probability that a value of the final map stands for: `sigmoid(2 * (value / levels - 1/2))`.
///
/// Per level a value is `50 (s_1 - s_0) + 1/2`, so this is the probability CLIP's temperature gives "abnormal",
/// averaged over the levels: 0.5 where both anchors are equally near.
pub fn probability(map_value: f32, levels: usize) -> f32 {
    sigmoid(2.0 * (f64::from(map_value) / levels.max(1) as f64 - 0.5)) as f32
}

/// The score of a picture: the mean of the image prediction and of the probability of the map's highest value; for
/// medical pictures the latter alone. The same parts as the reference adds after stretching them over a data set.
pub fn score(image_prediction: f32, map_max: f32, levels: usize, domain: Domain) -> f32 {
    let map = probability(map_max, levels);
    match domain {
        Domain::Industrial => 0.5 * (image_prediction.clamp(0.0, 1.0) + map),
        Domain::Medical => map,
    }
}
