//! AA-CLIP's adapters of the image tower.

use candle_core::{Result, Tensor};

use super::{Share, leaky_relu, residual, times_transposed};
use crate::clip::BlockAdapter;

/// Residual adapters after the first blocks, a projection per level and one for the image as a whole.
#[derive(Debug, Clone)]
pub struct ImageAdapter {
    /// `[W, W]` each; as many as there are adapted blocks.
    pub(super) blocks: Vec<Tensor>,
    pub(super) share: Share,
    /// `[D, W]`, one per level.
    pub(super) levels: Vec<Tensor>,
    /// `[D, W]`
    pub(super) detection: Tensor,
    /// Whether a leaky ReLU follows the projections.
    pub(super) relu: bool,
}

impl BlockAdapter for ImageAdapter {
    fn after_block(&self, block: usize, tokens: Tensor) -> Result<Tensor> {
        match self.blocks.get(block) {
            Some(weight) => residual(&tokens, weight, self.share),
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
        Self { blocks, share, levels, detection, relu }
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
            Some(weight) => self.project(tokens, weight),
            None => candle_core::bail!("the adapter has projections for {} levels only", self.levels.len()),
        }
    }

    /// Projects the last level's patch tokens `[B, L, W]` for the image as a whole: `[B, L, D]`.
    ///
    /// # Errors
    /// Tokens of another width.
    pub fn detect(&self, tokens: &Tensor) -> Result<Tensor> {
        self.project(tokens, &self.detection)
    }

    fn project(&self, tokens: &Tensor, weight: &Tensor) -> Result<Tensor> {
        let projected = times_transposed(tokens, weight)?;
        if self.relu { leaky_relu(&projected) } else { Ok(projected) }
    }
}
