//! AA-CLIP's adapters of the image tower.

use candle_core::{Result, Tensor};

use super::Share;
use super::projection::Projection;
use crate::clip::BlockAdapter;

/// Residual adapters after the first blocks, a projection per level and one for the image as a whole.
#[derive(Debug, Clone)]
pub struct ImageAdapter {
    /// `[W, W]` each; as many as there are adapted blocks.
    pub(super) blocks: Vec<Projection>,
    pub(super) share: Share,
    /// `[D, W]`, one per level.
    pub(super) levels: Vec<Projection>,
    /// `[D, W]`
    pub(super) detection: Projection,
    /// Whether a leaky ReLU follows the projections.
    pub(super) relu: bool,
}

impl BlockAdapter for ImageAdapter {
    fn after_block(&self, block: usize, tokens: Tensor) -> Result<Tensor> {
        match self.blocks.get(block) {
            Some(adapter) => adapter.residual(&tokens, self.share),
            None => Ok(tokens),
        }
    }
}

impl ImageAdapter {
    /// Adapters from their weights: `[W, W]` per adapted block, `[D, W]` per level, `[D, W]`.
    pub fn new(
        blocks: Vec<Tensor>,
        share: Share,
        levels: Vec<Tensor>,
        detection: Tensor,
        relu: bool,
    ) -> Self {
        let all = |weights: Vec<Tensor>| weights.into_iter().map(Projection::new).collect();
        Self { blocks: all(blocks), share, levels: all(levels), detection: Projection::new(detection), relu }
    }

    /// The same adapters, prepared for looking at pictures: no gradients reach their weights any more.
    ///
    /// # Errors
    /// Only those of reading the weights.
    pub fn packed(self) -> Result<Self> {
        let all =
            |weights: Vec<Projection>| weights.into_iter().map(Projection::packed).collect::<Result<_>>();
        Ok(Self {
            blocks: all(self.blocks)?,
            levels: all(self.levels)?,
            detection: self.detection.packed()?,
            ..self
        })
    }

    /// For how many levels there are projections.
    pub fn levels(&self) -> usize {
        self.levels.len()
    }

    /// Projects patch tokens `[B, L, W]` of the `index`-th level to `[B, L, D]`.
    ///
    /// # Errors
    /// A level the adapter has no projection for.
    pub fn segment(&self, index: usize, tokens: &Tensor) -> Result<Tensor> {
        match self.levels.get(index) {
            Some(projection) => projection.forward(tokens, self.relu),
            None => candle_core::bail!("the adapter has projections for {} levels only", self.levels.len()),
        }
    }

    /// Projects the last level's patch tokens `[B, L, W]` for the image as a whole: `[B, L, D]`.
    ///
    /// # Errors
    /// Tokens of another width.
    pub fn detect(&self, tokens: &Tensor) -> Result<Tensor> {
        self.detection.forward(tokens, self.relu)
    }
}
