//! The losses of both methods, on candle's graph.

use candle_core::{D, Device, Result, Tensor};

use crate::clip::LOGIT_SCALE;

/// Turns logit maps on the patch grid into probabilities at the model's input resolution.
#[derive(Debug, Clone)]
pub struct Upsample {
    /// `[S, g]`: bilinear weights with aligned corners.
    matrix: Tensor,
}

impl Upsample {
    /// From a grid of `grid` x `grid` patches to `size` x `size` pixels.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn new(grid: usize, size: usize, device: &Device) -> Result<Self> {
        let step = if size > 1 { (grid - 1) as f64 / (size - 1) as f64 } else { 0.0 };
        let mut weights = vec![0f32; size * grid];
        for y in 0..size {
            let at = y as f64 * step;
            let low = (at as usize).min(grid - 1);
            let high = (low + 1).min(grid - 1);
            let share = (at - low as f64) as f32;
            weights[y * grid + low] += 1.0 - share;
            weights[y * grid + high] += share;
        }
        Ok(Self { matrix: Tensor::from_vec(weights, (size, grid), device)? })
    }

    /// The probabilities per pixel, from differences of logits (abnormal minus normal) on the grid, `[B, L]`.
    /// Maps are up-sampled before the softmax, as in the training of both references.
    ///
    /// # Errors
    /// The grid has another size.
    pub fn probabilities(&self, difference: &Tensor) -> Result<Probabilities> {
        let (size, grid) = self.matrix.dims2()?;
        let batch = difference.dim(0)?;
        // Two products, one per axis; the first stacks the rows of all pictures.
        let rows = difference.reshape((batch * grid, grid))?.matmul(&self.matrix.t()?)?;
        let columns = rows.reshape((batch, grid, size))?.transpose(1, 2)?.contiguous()?;
        let columns = columns.reshape((batch * size, grid))?.matmul(&self.matrix.t()?)?;
        let map = columns.reshape((batch, size, size))?.transpose(1, 2)?.contiguous()?;
        Ok(Probabilities {
            abnormal: candle_nn::ops::sigmoid(&map)?,
            // Not computed as 1 - abnormal: near 0 that is rounding error, and its logarithm is needed.
            normal: candle_nn::ops::sigmoid(&map.neg()?)?,
        })
    }
}

/// The softmax over both classes for each pixel, both `[B, S, S]`.
#[derive(Debug, Clone)]
pub struct Probabilities {
    /// Probability that the pixel is good.
    pub normal: Tensor,
    /// Probability that the pixel is damaged.
    pub abnormal: Tensor,
}

/// The difference of the logits of "abnormal" and "normal", `[B, L]`: 100 times the difference of the
/// similarities of features `[B, L, D]` to each picture's anchors `[B, D, 2]`.
///
/// # Errors
/// The anchors have another width or number of pictures.
pub fn logit_difference(features: &Tensor, anchors: &Tensor) -> Result<Tensor> {
    let direction = (anchors.narrow(2, 1, 1)? - anchors.narrow(2, 0, 1)?)?;
    features.matmul(&direction.contiguous()?)?.squeeze(D::Minus1)?.affine(LOGIT_SCALE, 0.0)
}

/// The parts of a segmentation loss, each a scalar.
#[derive(Debug, Clone)]
pub struct SegmentationLoss {
    /// The focal loss.
    pub focal: Tensor,
    /// Dice of the good pixels; `None` in SDP+.
    pub dice_normal: Option<Tensor>,
    /// Dice of the damaged pixels.
    pub dice_abnormal: Tensor,
}

impl SegmentationLoss {
    /// AA-CLIP's loss: focal, and Dice of both classes. Masks are `[B, S, S]`.
    ///
    /// # Errors
    /// The masks have another shape.
    pub fn aa_clip(p: &Probabilities, mask: &Tensor) -> Result<Self> {
        let good = mask.affine(-1.0, 1.0)?;
        Ok(Self { dice_normal: Some(dice(&p.normal, &good)?), ..Self::sdp_plus(p, mask)? })
    }

    /// SDP+'s loss: focal, and Dice of the damaged pixels.
    ///
    /// # Errors
    /// The masks have another shape.
    pub fn sdp_plus(p: &Probabilities, mask: &Tensor) -> Result<Self> {
        Ok(Self { focal: focal(p, mask)?, dice_normal: None, dice_abnormal: dice(&p.abnormal, mask)? })
    }

    /// SDP+'s loss for a batch of one picture: the official code drops the batch axis of the mask, so Dice
    /// treats the picture's rows as pictures.
    ///
    /// # Errors
    /// The masks have another shape.
    pub fn sdp_plus_by_rows(p: &Probabilities, mask: &Tensor) -> Result<Self> {
        let rows = |t: &Tensor| t.squeeze(0);
        let dice_abnormal = dice(&rows(&p.abnormal)?, &rows(mask)?)?;
        Ok(Self { focal: focal(p, mask)?, dice_normal: None, dice_abnormal })
    }

    /// The sum of the parts.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn total(&self) -> Result<Tensor> {
        let sum = (&self.focal + &self.dice_abnormal)?;
        match &self.dice_normal {
            Some(dice) => sum + dice,
            None => Ok(sum),
        }
    }
}

/// The focal loss (gamma 2, no alpha) of probabilities, as in both references: the one-hot target is clamped
/// to 1e-5 and 1 - 1e-5, and 1e-5 is added to the selected probability.
fn focal(p: &Probabilities, mask: &Tensor) -> Result<Tensor> {
    const SMOOTH: f64 = 1e-5;
    // The target for "abnormal" is 1 - 1e-5 or 1e-5.
    let share = mask.affine(1.0 - 2.0 * SMOOTH, SMOOTH)?;
    let picked = ((&share * &p.abnormal)? + (share.affine(-1.0, 1.0)? * &p.normal)?)?.affine(1.0, SMOOTH)?;
    let miss = picked.affine(-1.0, 1.0)?;
    (miss.sqr()? * picked.log()?)?.mean_all()?.neg()
}

/// `1 - mean over samples of (2 sum(p m) + 1) / (sum p + sum m + 1)`; the first axis is the samples.
fn dice(probabilities: &Tensor, mask: &Tensor) -> Result<Tensor> {
    let sum = |t: &Tensor| t.flatten_from(1)?.sum(1);
    let both = sum(&(probabilities * mask)?)?.affine(2.0, 1.0)?;
    let all = (sum(probabilities)? + sum(mask)?)?.affine(1.0, 1.0)?;
    both.div(&all)?.mean_all()?.affine(-1.0, 1.0)
}

/// AA-CLIP's cross-entropy of the image: the logits are the plain similarities of `[B, D]` to each picture's
/// anchors `[B, D, 2]`, without a temperature; `labels` `[B]` are 1 for damaged pictures.
///
/// # Errors
/// The anchors have another width or number of pictures.
pub fn image_cross_entropy(image: &Tensor, anchors: &Tensor, labels: &Tensor) -> Result<Tensor> {
    let direction = (anchors.narrow(2, 1, 1)? - anchors.narrow(2, 0, 1)?)?;
    let difference = image.unsqueeze(1)?.matmul(&direction.contiguous()?)?.flatten_all()?;
    // The loss of a label y is softplus((1 - 2 y) d).
    let against = (labels.affine(-2.0, 1.0)? * difference)?;
    against.exp()?.affine(1.0, 1.0)?.log()?.mean_all()
}

/// AA-CLIP's orthogonality term: the square of the mean, over pictures, of the dot product of both anchors,
/// `[B, D, 2]`.
///
/// # Errors
/// Errors of the device.
pub fn orthogonality(anchors: &Tensor) -> Result<Tensor> {
    let product = (anchors.narrow(2, 0, 1)? * anchors.narrow(2, 1, 1)?)?;
    product.sum(1)?.mean_all()?.sqr()
}
