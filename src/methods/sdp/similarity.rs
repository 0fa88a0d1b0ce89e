//! SDP's decision: compares the surgery path's features with both anchors.

use candle_core::{D, Result, Tensor};

use super::LevelFeatures;
use crate::map::sigmoid;
use crate::methods::{LOGIT_SCALE, unit};

/// SDP's result for a batch, before up-sampling.
#[derive(Debug, Clone)]
pub struct Similarity {
    /// `[B, 1 + L, 2]`: weighted similarity to the normal and the abnormal anchor, each minus their mean, summed
    /// over the levels. Row 0 is the class token; channel 1 of the others is the anomaly map.
    pub tokens: Tensor,
    /// `[B]`: the probability of "abnormal" for the class token of the last level, at CLIP's temperature.
    pub text_probability: Tensor,
}

impl Similarity {
    /// The anomaly map of the patches, row by row: `[B, L]`.
    ///
    /// # Errors
    /// Errors of slicing.
    pub fn patches(&self) -> Result<Tensor> {
        let length = self.tokens.dim(1)?;
        self.tokens.narrow(1, 1, length - 1)?.narrow(2, 1, 1)?.squeeze(2)
    }
}

/// Compares the features of each level with the anchors.
///
/// `anchors` is `[D, 2]`: the normal and the abnormal anchor as columns of unit length. Per level, the class
/// token's own similarities weigh the two classes (their softmax over its mean) before the mean of both is
/// subtracted.
///
/// # Errors
/// There are no levels, or the anchors have another width.
pub fn similarity(features: &[LevelFeatures], anchors: &Tensor) -> Result<Similarity> {
    let mut sum: Option<Tensor> = None;
    let mut last = None;
    for level in features {
        let Some(surgery) = &level.surgery else { candle_core::bail!("SDP needs the surgery path") };
        let raw = unit(surgery)?.broadcast_matmul(anchors)?;
        let class = raw.narrow(1, 0, 1)?;
        let weights = candle_nn::ops::softmax_last_dim(&class.contiguous()?)?;
        let weights = weights.broadcast_div(&weights.mean_keepdim(D::Minus1)?)?;
        let weighted = raw.broadcast_mul(&weights)?;
        let centred = weighted.broadcast_sub(&weighted.mean_keepdim(D::Minus1)?)?;
        sum = Some(match sum {
            Some(sum) => (sum + centred)?,
            None => centred,
        });
        last = Some(class);
    }
    let (Some(tokens), Some(class)) = (sum, last) else {
        candle_core::bail!("SDP needs at least one level");
    };
    let probabilities = candle_nn::ops::softmax_last_dim(&(class.squeeze(1)? * LOGIT_SCALE)?.contiguous()?)?;
    Ok(Similarity { tokens, text_probability: probabilities.narrow(1, 1, 1)?.squeeze(1)? })
}

/// The probability for a value of SDP's map: `sigmoid(2 * 100 * value / levels)`.
///
/// Per level, a map value is about half the difference of the similarities to the abnormal and the normal
/// anchor. Doubled, averaged over the levels and multiplied by CLIP's temperature, it becomes CLIP's
/// probability of "abnormal" for that patch: 0.5 where both anchors are equally near. It depends only on the
/// value, so it is comparable between pictures.
pub fn probability(map_value: f32, levels: usize) -> f32 {
    sigmoid(2.0 * LOGIT_SCALE * f64::from(map_value) / levels.max(1) as f64) as f32
}

/// The score of a picture: the mean of the class token's probability and the probability of the map's
/// maximum.
///
/// The reference adds the same two components after stretching each to 0..1 over a whole data set; this score
/// depends only on the picture and grows with both components.
pub fn score(text_probability: f32, map_max: f32, levels: usize) -> f32 {
    0.5 * (text_probability + probability(map_max, levels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_monotone_and_bounded() {
        assert_eq!(probability(0.0, 4), 0.5);
        let mut last = 0.0;
        for i in -40..=40 {
            let p = probability(i as f32 * 0.005, 4);
            assert!((0.0..=1.0).contains(&p) && p >= last);
            last = p;
        }
        assert_eq!((probability(1e30, 4), probability(-1e30, 4)), (1.0, 0.0));
        assert!(score(0.9, 0.01, 4) > score(0.8, 0.01, 4) && score(0.8, 0.02, 4) > score(0.8, 0.01, 4));
    }
}
