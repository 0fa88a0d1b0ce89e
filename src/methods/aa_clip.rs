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

/// The map of one of several tiles, `[size, size]`: as [`final_map`], but not smoothed, and every patch where its
/// pixels are. `levels` are `[B, L]`.
pub(crate) fn sum_of_levels(levels: &[Tensor], size: usize) -> Result<Array2<f32>> {
    let mut sum = Array2::zeros((size, size));
    for level in levels {
        sum += &bilinear(first_grid(level)?.view(), (size, size), Alignment::HalfPixel);
    }
    Ok(sum)
}

/// Smooths a map blended of tiles as [`final_map`] smooths on the patch grid, which tiles do not share. `pitch` is the
/// map's pixels per patch.
///
/// Up-sampling spreads a patch by itself, by a triangle as wide as two patches whose variance is 1/6 patch². The
/// reference smooths first and so keeps a patch's peak; here the Gaussian is narrower by as much, to keep it too.
pub(crate) fn smooth(map: &Array2<f32>, pitch: f64, smoothing: Blur) -> Array2<f32> {
    let narrower = (smoothing.sigma.pixels().powi(2) - 1.0 / 6.0).max(0.0).sqrt();
    let taps = 2 * ((smoothing.kernel / 2) as f64 * pitch).ceil() as usize + 1;
    let sigma = Sigma::new(narrower).unwrap_or(smoothing.sigma).scaled(pitch);
    blur(map.view(), taps, sigma)
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

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use ndarray::s;

    use super::*;

    /// Smoothing a blended map must give what smoothing on the patch grid gives, the peak above all.
    #[test]
    fn both_ways_of_smoothing_agree() {
        let (grid, size) = (37usize, 518usize);
        let spot = |i: usize| if i == 18 * grid + 12 { 40.0 } else { ((i * 37 + i / 7) % 11) as f32 };
        let values: Vec<f32> = (0..grid * grid).map(spot).collect();
        let level = Tensor::from_vec(values, (1, grid * grid), &Device::Cpu).unwrap();
        for domain in [Domain::Industrial, Domain::Medical] {
            let smoothing = Blur::of(domain);
            let on_grid = blur(first_grid(&level).unwrap().view(), smoothing.kernel, smoothing.sigma);
            let expected = bilinear(on_grid.view(), (size, size), Alignment::HalfPixel);
            let raw = sum_of_levels(std::slice::from_ref(&level), size).unwrap();
            let found = smooth(&raw, size as f64 / grid as f64, smoothing);
            let highest = |m: &Array2<f32>| m.iter().copied().fold(f32::MIN, f32::max);
            let lowest = expected.iter().copied().fold(f32::MAX, f32::min);
            let range = highest(&expected) - lowest;
            let peak = (highest(&found) - highest(&expected)) / range;
            // The border is mirrored about another line, which shows as far as the kernel reaches.
            let inner = s![56..size - 56, 56..size - 56];
            let difference = &found.slice(inner) - &expected.slice(inner);
            let largest = difference.iter().fold(0.0f32, |m, d| m.max(d.abs())) / range;
            println!("{domain:?}: largest difference {largest:.4} of the range, peak {peak:+.4}");
            // Between the patches the reference draws straight lines, up to an eighth of a peak below the curve.
            assert!(largest < 0.15 && peak.abs() < 0.03, "{domain:?} {largest} {peak}");
        }
    }
}
