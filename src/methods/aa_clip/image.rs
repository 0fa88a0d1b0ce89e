//! AA-CLIP's adapters of the image tower, and its forward pass.

use candle_core::{DType, Result, Tensor};

use super::Share;
use super::projection::Projection;
use crate::clip::VisionTower;

/// Residual adapters after the first blocks, one projection per level and one for the whole image.
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

    /// The same adapters, packed for inference without gradients.
    ///
    /// # Errors
    /// The weights cannot be read.
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

    /// The tokens `[B, L, W]` after the 0-based `block`, changed by the block's adapter, if any.
    ///
    /// # Errors
    /// The tokens have another width.
    pub fn after_block(&self, block: usize, tokens: Tensor) -> Result<Tensor> {
        match self.blocks.get(block) {
            Some(adapter) => adapter.residual(&tokens.to_dtype(DType::F32)?, self.share),
            None => Ok(tokens),
        }
    }

    /// The adapted forward pass: the raw tokens `[B, 1 + L, W]` after each of `levels` (1-based, ascending).
    /// Blocks after the last level are skipped.
    ///
    /// # Errors
    /// The images have another shape, or the tower has no such level.
    pub fn tokens(&self, tower: &VisionTower, images: &Tensor, levels: &[usize]) -> Result<Vec<Tensor>> {
        tower.check_levels(levels)?;
        let mut x = tower.embed(images)?;
        let mut tapped = Vec::with_capacity(levels.len());
        for (i, block) in tower.blocks().iter().enumerate().take(levels.last().copied().unwrap_or(0)) {
            x = self.after_block(i, block.forward(&x, false)?)?;
            if levels.contains(&(i + 1)) {
                tapped.push(x.to_dtype(DType::F32)?);
            }
        }
        Ok(tapped)
    }

    /// Number of levels with projections.
    pub fn levels(&self) -> usize {
        self.levels.len()
    }

    /// Projects patch tokens `[B, L, W]` of the `index`-th level to `[B, L, D]`.
    ///
    /// # Errors
    /// The adapter has no projection for the level.
    pub fn segment(&self, index: usize, tokens: &Tensor) -> Result<Tensor> {
        match self.levels.get(index) {
            Some(projection) => projection.forward(tokens, self.relu),
            None => candle_core::bail!("the adapter has projections for {} levels only", self.levels.len()),
        }
    }

    /// Projects the last level's patch tokens `[B, L, W]` for the whole image: `[B, L, D]`.
    ///
    /// # Errors
    /// The tokens have another width.
    pub fn detect(&self, tokens: &Tensor) -> Result<Tensor> {
        self.detection.forward(tokens, self.relu)
    }
}

impl std::fmt::Display for ImageAdapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} blocks, weight {}, relu {}", self.blocks.len(), self.share.value(), self.relu)
    }
}
