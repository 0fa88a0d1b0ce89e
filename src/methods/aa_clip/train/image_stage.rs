//! Stage 2 of AA-CLIP: residual adapters and projections of the image tower.

use std::collections::BTreeMap;

use candle_core::{Result, Tensor, Var};

use crate::clip::{VisionTower, unit};
use crate::methods::aa_clip::{ImageAdapter, Share};
use crate::train::loss::{SegmentationLoss, Upsample, image_cross_entropy, logit_difference};
use crate::train::{Adam, AdamSettings, Batch, Gradients, Losses, Stage, Terms, Walk, anchors_of};

/// The image adapters in training; the tower and the anchors are frozen.
pub struct ImageStage<'a> {
    vision: &'a VisionTower,
    levels: Vec<usize>,
    adapter: ImageAdapter,
    upsample: Upsample,
    /// The optimiser with the adapters' variables.
    pub adam: Adam,
}

impl<'a> ImageStage<'a> {
    /// The reference's optimiser.
    pub const ADAM: AdamSettings = AdamSettings { rate: 5e-4, beta1: 0.5, beta2: 0.999, epsilon: 1e-8 };

    /// The reference halves the learning rate after these steps, for every data set.
    pub const MILESTONES: [usize; 2] = [16_000, 32_000];

    /// A stage over `weights` by their canonical names ([`super::image_weights`] makes new ones).
    ///
    /// # Errors
    /// The weights do not form an adapter with one projection per level.
    pub fn new(
        vision: &'a VisionTower,
        levels: &[usize],
        weights: Vec<(String, Tensor)>,
        share: Share,
        relu: bool,
        settings: AdamSettings,
    ) -> Result<Self> {
        let vars: Vec<(String, Var)> =
            weights.iter().map(|(n, t)| Ok((n.clone(), Var::from_tensor(t)?))).collect::<Result<_>>()?;
        let part = |prefix: &str| -> Vec<Tensor> {
            let named = vars.iter().filter(|(n, _)| n.starts_with(prefix));
            named.map(|(_, v)| v.as_tensor().clone()).collect()
        };
        let (blocks, projections, detection) = (part("layer_adapters."), part("seg_proj."), part("det_proj"));
        let [detection] = &detection[..] else { candle_core::bail!("image adapters need one `det_proj`") };
        if projections.len() != levels.len() {
            candle_core::bail!("{} projections for {} levels", projections.len(), levels.len());
        }
        Ok(Self {
            vision,
            levels: levels.to_vec(),
            adapter: ImageAdapter::new(blocks, share, projections, detection.clone(), relu),
            upsample: Upsample::new(vision.grid(), vision.image_size(), detection.device())?,
            adam: Adam::new(settings, vars)?,
        })
    }

    /// The learning rate of the next step.
    pub fn rate(&self) -> f64 {
        let halvings = Self::MILESTONES.iter().filter(|&&m| self.adam.steps >= m).count();
        self.adam.settings.rate * 0.5f64.powi(halvings as i32)
    }

    /// Losses and gradients of a batch, with each picture's frozen anchors `[B, D, 2]`.
    ///
    /// # Errors
    /// The batch does not match the tower's input.
    pub fn gradients(&self, batch: &Batch, anchors: &Tensor) -> Result<(Losses, Gradients)> {
        let block = |i: usize, x: &Tensor| match self.vision.blocks().get(i) {
            Some(block) => self.adapter.after_block(i, block.forward(x, false)?),
            None => candle_core::bail!("block {i} does not exist: this tower has {}", self.vision.layers()),
        };
        let count = self.levels.last().copied().unwrap_or(0);
        let walk = Walk::forward(&self.vision.embed(&batch.images)?, count, &block)?;
        let leaves: Vec<Var> =
            self.levels.iter().map(|&l| Var::from_tensor(walk.level(l))).collect::<Result<_>>()?;

        let mut terms = Terms::default();
        let mut last = None;
        for (k, (leaf, &level)) in leaves.iter().zip(&self.levels).enumerate() {
            let length = leaf.dim(1)? - 1;
            let patches = self.vision.ln_post(&leaf.narrow(1, 1, length)?)?;
            let features = unit(&self.adapter.segment(k, &patches)?)?;
            let probabilities = self.upsample.probabilities(&logit_difference(&features, anchors)?)?;
            terms.add_segmentation(level, &SegmentationLoss::aa_clip(&probabilities, &batch.masks)?)?;
            last = Some(patches);
        }
        let Some(last) = last else { candle_core::bail!("AA-CLIP needs at least one level") };
        let image = unit(&self.adapter.detect(&last)?)?.mean(1)?;
        terms.add("cross_entropy", image_cross_entropy(&image, anchors, &batch.labels)?)?;

        let (sum, losses) = terms.finish()?;
        let found = sum.backward()?;
        let mut gradients = self.adam.gradients();
        gradients.add(&self.adam, &found)?;
        let at_levels: BTreeMap<usize, Tensor> = (leaves.iter().zip(&self.levels))
            .filter_map(|(leaf, &level)| Some((level, found.get(leaf)?.detach())))
            .collect();
        walk.backward(at_levels, &self.adam, &mut gradients)?;
        Ok((losses, gradients))
    }
}

/// The stage with its frozen anchors, `[D, 2]` per class.
pub struct AnchoredImageStage<'a> {
    /// The stage.
    pub stage: ImageStage<'a>,
    /// The anchors.
    pub anchors: Vec<Tensor>,
}

impl Stage for AnchoredImageStage<'_> {
    fn name(&self) -> &'static str {
        "image"
    }

    fn gradients(&self, batch: &Batch) -> Result<(Losses, Gradients)> {
        self.stage.gradients(batch, &anchors_of(&batch.classes, &self.anchors)?)
    }

    fn rate(&self) -> f64 {
        self.stage.rate()
    }

    fn adam(&self) -> &Adam {
        &self.stage.adam
    }

    fn adam_mut(&mut self) -> &mut Adam {
        &mut self.stage.adam
    }
}
