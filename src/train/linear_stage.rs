//! SDP+: a linear layer per level on the original path's tokens.

use candle_core::{Result, Tensor, Var};

use super::loss::{SegmentationLoss, Upsample, logit_difference};
use super::{Adam, AdamSettings, Batch, Gradients, Losses, Terms, TrainingFidelity};
use crate::clip::{FeatureRequest, TapFidelity, VisionTower, Wanted};
use crate::methods::unit;

/// The linear layers in training; the tower and the anchors are frozen.
pub struct LinearStage<'a> {
    vision: &'a VisionTower,
    levels: Vec<usize>,
    fidelity: TrainingFidelity,
    /// Weight `[D, W]` and bias `[D]` per level.
    layers: Vec<(Tensor, Tensor)>,
    upsample: Upsample,
    /// The optimiser with the layers' variables.
    pub adam: Adam,
}

impl<'a> LinearStage<'a> {
    /// The optimiser of the reference's script.
    pub const ADAM: AdamSettings = AdamSettings { rate: 1e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

    /// A stage over `weights` by their canonical names ([`super::linear_weights`] makes new ones).
    ///
    /// # Errors
    /// Weights that are not a weight and a bias per level.
    pub fn new(
        vision: &'a VisionTower,
        levels: &[usize],
        weights: Vec<(String, Tensor)>,
        fidelity: TrainingFidelity,
        settings: AdamSettings,
    ) -> Result<Self> {
        let vars: Vec<(String, Var)> =
            weights.iter().map(|(n, t)| Ok((n.clone(), Var::from_tensor(t)?))).collect::<Result<_>>()?;
        let get = |name: String| match vars.iter().find(|(n, _)| *n == name) {
            Some((_, var)) => Ok(var.as_tensor().clone()),
            None => candle_core::bail!("`{name}` is missing"),
        };
        let layer = |i| Ok((get(format!("fc.{i}.weight"))?, get(format!("fc.{i}.bias"))?));
        let layers = (0..levels.len()).map(layer).collect::<Result<Vec<_>>>()?;
        let Some((_, bias)) = layers.first() else { candle_core::bail!("SDP+ needs at least one level") };
        Ok(Self {
            vision,
            levels: levels.to_vec(),
            fidelity,
            upsample: Upsample::new(vision.grid(), vision.image_size(), bias.device())?,
            layers,
            adam: Adam::new(settings, vars)?,
        })
    }

    /// Losses and gradients of a batch, with each picture's anchors `[B, D, 2]`.
    ///
    /// # Errors
    /// A batch of another shape than the tower's.
    pub fn gradients(&self, batch: &Batch, anchors: &Tensor) -> Result<(Losses, Gradients)> {
        let reference = self.fidelity == TrainingFidelity::Reference;
        let fidelity = if reference { TapFidelity::Reference } else { TapFidelity::Clean };
        let request = FeatureRequest {
            levels: &self.levels,
            surgery: false,
            fidelity,
            adapter: None,
            original: Wanted::All,
        };
        let features = self.vision.features(&batch.images, request)?;
        let mut terms = Terms::default();
        for (level, (weight, bias)) in features.iter().zip(&self.layers) {
            let (pictures, tokens, width) = level.original.dims3()?;
            let patches = level.original.narrow(1, 1, tokens - 1)?.contiguous()?;
            let rows = patches.reshape((pictures * (tokens - 1), width))?.matmul(&weight.t()?)?;
            let features = unit(&rows.broadcast_add(bias)?)?.reshape((pictures, tokens - 1, ()))?;
            let probabilities = self.upsample.probabilities(&logit_difference(&features, anchors)?)?;
            let parts = match reference && pictures == 1 {
                true => SegmentationLoss::sdp_plus_by_rows(&probabilities, &batch.masks)?,
                false => SegmentationLoss::sdp_plus(&probabilities, &batch.masks)?,
            };
            terms.add_segmentation(level.level, &parts)?;
        }
        let (sum, losses) = terms.finish()?;
        let mut gradients = self.adam.gradients();
        gradients.add(&self.adam, &sum.backward()?)?;
        Ok((losses, gradients))
    }
}
