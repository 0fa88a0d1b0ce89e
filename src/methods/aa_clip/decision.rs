//! AA-CLIP's decision: adapted patch features compared with adapted text anchors.

use candle_core::{D, Result, Tensor};

use super::ImageAdapter;
use crate::anchors::Domain;
use crate::clip::VisionTower;
use crate::map::{Sigma, Smoothing, sigmoid};
use crate::methods::{Components, LOGIT_SCALE, unit};

/// Smoothing of each level's map on the patch grid: 7 taps and sigma 1.0 for industrial pictures, 9 taps and
/// 1.5 for medical ones; `asked` replaces sigma.
pub fn smoothing(domain: Domain, asked: Option<Sigma>) -> Smoothing {
    const INDUSTRIAL: Sigma = Sigma::new(1.0).unwrap();
    const MEDICAL: Sigma = Sigma::new(1.5).unwrap();
    let (taps, own) = match domain {
        Domain::Industrial => (7, INDUSTRIAL),
        Domain::Medical => (9, MEDICAL),
    };
    Smoothing::Patches { taps, sigma: asked.unwrap_or(own) }
}

/// The adapters' projections for a batch.
#[derive(Debug, Clone)]
pub struct Projected {
    /// Per level, `[B, L, D]`, of unit length.
    pub patches: Vec<Tensor>,
    /// `[B, D]`: the mean of the patches' unit vectors; not itself of unit length.
    pub image: Tensor,
}

/// Projects the patch tokens of each level (raw tokens `[B, 1 + L, W]`), and those of the last level for the
/// whole image.
///
/// # Errors
/// There are no levels, or their number differs from the adapter's projections.
pub fn project(vision: &VisionTower, levels: &[Tensor], adapter: &ImageAdapter) -> Result<Projected> {
    let mut patches = Vec::with_capacity(levels.len());
    let mut last = None;
    for (i, tokens) in levels.iter().enumerate() {
        let tokens = vision.ln_post(&tokens.narrow(1, 1, tokens.dim(1)? - 1)?)?;
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
/// The anchors have another width.
pub fn level_map(patches: &Tensor, anchors: &Tensor) -> Result<Tensor> {
    let similarity = patches.broadcast_matmul(anchors)?;
    let difference = (similarity.narrow(D::Minus1, 1, 1)? - similarity.narrow(D::Minus1, 0, 1)?)?;
    difference.squeeze(D::Minus1)?.affine(LOGIT_SCALE / 2.0, 0.5)
}

/// The reference's image prediction, `(d . t_abnormal + 1) / 2`: `[B]`. It does not use the normal anchor.
///
/// # Errors
/// The anchors have another width.
pub fn image_prediction(image: &Tensor, anchors: &Tensor) -> Result<Tensor> {
    image.matmul(&anchors.narrow(1, 1, 1)?.contiguous()?)?.squeeze(1)?.affine(0.5, 0.5)
}

/// The probability for a value of the final map: `sigmoid(2 * (value / levels - 1/2))`.
///
/// The value of one level is `50 (s_1 - s_0) + 1/2`, so this is the probability of "abnormal" at CLIP's
/// temperature, averaged over the levels: 0.5 where both anchors are equally near.
pub fn probability(map_value: f32, levels: usize) -> f32 {
    sigmoid(2.0 * (f64::from(map_value) / levels.max(1) as f64 - 0.5)) as f32
}

/// The score of a picture: the mean of the image prediction and the probability of the map's maximum; for
/// medical pictures only the latter. The reference adds the same components after stretching them over a data
/// set.
pub fn score(image_prediction: f32, map_max: f32, levels: usize, domain: Domain) -> f32 {
    let map = probability(map_max, levels);
    match domain {
        Domain::Industrial => 0.5 * (image_prediction.clamp(0.0, 1.0) + map),
        Domain::Medical => map,
    }
}

/// The scores of the official evaluation (`metrics_eval`), in its own arithmetic (f32): half the map's
/// maximum plus half the image prediction, each stretched to 0..1 over the pictures of a class; for medical
/// pictures only the map. A component that is equal in all pictures gives NaN, as in the official code.
pub fn official_scores(pictures: &[Components], domain: Domain) -> Vec<f32> {
    let low = pictures.iter().map(|c| c.map_min).fold(f32::INFINITY, f32::min);
    let high = pictures.iter().map(|c| c.map_max).fold(f32::NEG_INFINITY, f32::max);
    let map = pictures.iter().map(|c| unless_one(c.map_max, low, high));
    match domain {
        Domain::Medical => map.collect(),
        Domain::Industrial => {
            let image: Vec<f32> = pictures.iter().map(|c| c.image.unwrap_or(f32::NAN)).collect();
            let low = image.iter().copied().fold(f32::INFINITY, f32::min);
            let high = image.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            map.zip(&image).map(|(m, &i)| 0.5 * m + 0.5 * unless_one(i, low, high)).collect()
        }
    }
}

/// The official code does not stretch values with a maximum of exactly 1.
fn unless_one(value: f32, low: f32, high: f32) -> f32 {
    if high == 1.0 { value } else { (value - low) / (high - low) }
}
