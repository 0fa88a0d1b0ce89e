//! Stage 1 of AA-CLIP: residual adapters and projection of the text tower.

use std::collections::BTreeMap;

use candle_core::{DType, Result, Tensor, Var};

use crate::clip::{Attention, AttentionRequest, TextTower, Tokens, VisionTower, unit};
use crate::methods::aa_clip::{Share, TextAdapter};
use crate::train::loss::{SegmentationLoss, Upsample, logit_difference, orthogonality};
use crate::train::{
    Adam, AdamSettings, Batch, Gradients, Losses, Stage, Terms, TrainingFidelity, Walk, anchors_of,
};

/// The sentences of a class.
#[derive(Debug, Clone)]
pub struct ClassSentences {
    /// Sentences for a good part.
    pub normal: Vec<Tokens>,
    /// Sentences for a damaged part.
    pub abnormal: Vec<Tokens>,
}

/// The text adapters in training; both towers are frozen.
pub struct TextStage<'a> {
    vision: &'a VisionTower,
    text: &'a TextTower,
    classes: &'a [ClassSentences],
    levels: Vec<usize>,
    /// Number of the image tower's last blocks with V-V attention.
    replaced: usize,
    fidelity: TrainingFidelity,
    adapter: TextAdapter,
    upsample: Upsample,
    /// The optimiser with the adapters' variables.
    pub adam: Adam,
}

impl<'a> TextStage<'a> {
    /// The reference's optimiser.
    pub const ADAM: AdamSettings = AdamSettings { rate: 1e-5, beta1: 0.5, beta2: 0.999, epsilon: 1e-8 };

    /// The reference's weight of the orthogonality term.
    pub const ORTHOGONALITY: f64 = 0.1;

    /// Number of blocks whose attention the reference replaces: the last 19 of 24, the same share of other
    /// towers.
    pub fn replaced(layers: usize) -> usize {
        // The reference's function is called with 20 and replaces one block less.
        ((20 * layers + 12) / 24).saturating_sub(1)
    }

    /// A stage over `weights` by their canonical names ([`super::text_weights`] makes new ones).
    ///
    /// # Errors
    /// The weights have no projection.
    #[allow(clippy::too_many_arguments)] // Two towers, their data and the settings of one optimiser.
    pub fn new(
        vision: &'a VisionTower,
        text: &'a TextTower,
        classes: &'a [ClassSentences],
        levels: &[usize],
        weights: Vec<(String, Tensor)>,
        share: Share,
        fidelity: TrainingFidelity,
        settings: AdamSettings,
    ) -> Result<Self> {
        let vars: Vec<(String, Var)> =
            weights.iter().map(|(n, t)| Ok((n.clone(), Var::from_tensor(t)?))).collect::<Result<_>>()?;
        let mut blocks: Vec<Tensor> = vars.iter().map(|(_, v)| v.as_tensor().clone()).collect();
        let Some(projection) = blocks.pop() else { candle_core::bail!("text adapters need a projection") };
        Ok(Self {
            vision,
            text,
            classes,
            levels: levels.to_vec(),
            replaced: Self::replaced(vision.layers()),
            fidelity,
            upsample: Upsample::new(vision.grid(), vision.image_size(), projection.device())?,
            adapter: TextAdapter::new(blocks, share, projection, String::new()),
            adam: Adam::new(settings, vars)?,
        })
    }

    /// The patch features that stage 1 compares with the anchors, `[B, L, D]` per level: projected V-V
    /// features of unit length plus the picture's embedding of unit length; the sum is not normalised. Their
    /// computation has no trained weights.
    ///
    /// # Errors
    /// The batch does not match the tower's input.
    pub fn features(&self, images: &Tensor) -> Result<Vec<Tensor>> {
        // The official code back-propagates only the last level.
        let levels = match (self.fidelity, &self.levels[..]) {
            (TrainingFidelity::Reference, [.., last]) => std::slice::from_ref(last),
            (_, all) => all,
        };
        let class = unit(&self.vision.forward(images, &[])?.0)?.unsqueeze(1)?;
        let tapped = self.value_value(images, levels)?;
        let feature = |tokens: &Tensor| {
            let patches = self.vision.project(&tokens.narrow(1, 1, tokens.dim(1)? - 1)?)?;
            unit(&patches)?.broadcast_add(&class)
        };
        tapped.iter().map(feature).collect()
    }

    /// The current anchors `[D, 2]` of some classes, without a graph.
    ///
    /// # Errors
    /// A class does not exist.
    pub fn anchors(&self, classes: &[usize]) -> Result<Vec<Tensor>> {
        let (sentences, counts) = self.sentences(classes)?;
        let x = self.text.begin(&sentences, TextTower::needed(&sentences))?;
        let block = |i: usize, x: &Tensor| self.block(i, x);
        let walk = Walk::forward(&x, self.text.layers(), &block)?;
        let rows = self.text.finish(walk.level(self.text.layers()), &sentences)?;
        anchors(&self.adapter.project(&rows)?, &counts)?.iter().map(|a| Ok(a.detach())).collect()
    }

    /// Losses and gradients of a batch.
    ///
    /// # Errors
    /// The batch does not match the tower's input, or a class does not exist.
    pub fn gradients(&self, batch: &Batch) -> Result<(Losses, Gradients)> {
        let features = self.features(&batch.images)?;
        let mut classes = batch.classes.clone();
        classes.sort_unstable();
        classes.dedup();
        let (sentences, counts) = self.sentences(&classes)?;
        let block = |i: usize, x: &Tensor| self.block(i, x);
        let walk = Walk::forward(
            &self.text.begin(&sentences, TextTower::needed(&sentences))?,
            self.text.layers(),
            &block,
        )?;
        let leaf = Var::from_tensor(walk.level(self.text.layers()))?;
        let rows = self.adapter.project(&self.text.finish(&leaf, &sentences)?)?;
        let of_classes = anchors(&rows, &counts)?;
        let at = |class: &usize| classes.binary_search(class).unwrap_or(usize::MAX);
        let anchors = anchors_of(&batch.classes.iter().map(at).collect::<Vec<_>>(), &of_classes)?;

        let mut terms = Terms::default();
        let levels = &self.levels[self.levels.len() - features.len()..];
        for (features, &level) in features.iter().zip(levels) {
            let probabilities = self.upsample.probabilities(&logit_difference(features, &anchors)?)?;
            terms.add_segmentation(level, &SegmentationLoss::aa_clip(&probabilities, &batch.masks)?)?;
        }
        terms.add("orthogonality", (orthogonality(&anchors)? * Self::ORTHOGONALITY)?)?;

        let (sum, losses) = terms.finish()?;
        let found = sum.backward()?;
        let mut gradients = self.adam.gradients();
        gradients.add(&self.adam, &found)?;
        let at_end = found.get(&leaf).map(|g| (self.text.layers(), g.detach()));
        walk.backward(BTreeMap::from_iter(at_end), &self.adam, &mut gradients)?;
        Ok((losses, gradients))
    }

    /// All sentences of some classes, and the number of sentences per polarity and class.
    fn sentences(&self, classes: &[usize]) -> Result<(Vec<Tokens>, Vec<[usize; 2]>)> {
        let mut all = Vec::new();
        let mut counts = Vec::new();
        for &class in classes {
            let Some(class) = self.classes.get(class) else { candle_core::bail!("no sentences for a class") };
            all.extend(class.normal.iter().chain(&class.abnormal).cloned());
            counts.push([class.normal.len(), class.abnormal.len()]);
        }
        Ok((all, counts))
    }

    /// A block of the text tower with its adapter.
    fn block(&self, i: usize, x: &Tensor) -> Result<Tensor> {
        match self.text.blocks().get(i) {
            Some(block) => self.adapter.after_block(i, block.forward(x, true)?),
            None => candle_core::bail!("block {i} does not exist: the text tower has {}", self.text.layers()),
        }
    }

    /// The raw tokens `[B, 1 + L, W]` after each of `levels`, in ascending order, of a tower whose last
    /// blocks use V-V attention, without queries and keys.
    ///
    /// The official code passes its attention the input in the order (token, batch, channel), but the module
    /// expects (batch, token, channel): for each token separately, the pictures of a batch attend to each
    /// other.
    fn value_value(&self, images: &Tensor, levels: &[usize]) -> Result<Vec<Tensor>> {
        self.vision.check_levels(levels)?;
        let mut x = self.vision.embed(images)?;
        let mut tapped = Vec::new();
        for (i, block) in self.vision.blocks().iter().enumerate() {
            x = if i + self.replaced < self.vision.layers() {
                block.forward(&x, false)?
            } else {
                let attend = |x: &Tensor| {
                    let request = AttentionRequest { attention: Attention::VV, tokens: x.dim(1)?, add: None };
                    block.attend_one(x, request, false)
                };
                let attended = match self.fidelity {
                    TrainingFidelity::Clean => attend(&x)?,
                    TrainingFidelity::Reference => {
                        attend(&x.transpose(0, 1)?.contiguous()?)?.transpose(0, 1)?.contiguous()?
                    }
                };
                block.mlp(&(&x + attended)?)?
            };
            if levels.contains(&(i + 1)) {
                tapped.push(x.to_dtype(DType::F32)?);
            }
        }
        Ok(tapped)
    }
}

/// The anchors `[D, 2]` of each class: the unit mean of its sentences' unit vectors, normal and abnormal.
fn anchors(rows: &Tensor, counts: &[[usize; 2]]) -> Result<Vec<Tensor>> {
    let rows = unit(rows)?;
    let mut start = 0;
    let mut next = |count: usize| {
        let mean = rows.narrow(0, start, count)?.mean_keepdim(0);
        start += count;
        unit(&mean?)?.squeeze(0)
    };
    counts.iter().map(|&[normal, abnormal]| Tensor::stack(&[next(normal)?, next(abnormal)?], 1)).collect()
}

impl Stage for TextStage<'_> {
    fn name(&self) -> &'static str {
        "text"
    }

    fn gradients(&self, batch: &Batch) -> Result<(Losses, Gradients)> {
        TextStage::gradients(self, batch)
    }

    fn adam(&self) -> &Adam {
        &self.adam
    }

    fn adam_mut(&mut self) -> &mut Adam {
        &mut self.adam
    }
}
