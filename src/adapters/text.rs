//! AA-CLIP's adapters of the text tower.

use candle_core::{Result, Tensor};

use super::Share;
use super::projection::{Projection, leaky_relu};
use crate::clip::{BlockAdapter, TextAdapter};

/// Residual adapters after the first blocks, and a projection in place of the tower's own.
#[derive(Debug, Clone)]
pub struct AdaptedText {
    /// `[W, W]` each.
    pub(super) blocks: Vec<Projection>,
    pub(super) share: Share,
    /// `[D, W]`
    pub(super) projection: Tensor,
    /// Tells these adapters from others, for the cache of anchors.
    pub(super) digest: String,
}

impl AdaptedText {
    /// Adapters from their weights, `[W, W]` per adapted block and `[D, W]`. `digest` tells them from others: anchors
    /// are cached under it.
    pub fn new(blocks: Vec<Tensor>, share: Share, projection: Tensor, digest: String) -> Self {
        let blocks = blocks.into_iter().map(Projection::new).collect();
        Self { blocks, share, projection, digest }
    }

    /// A hash over everything that anchors depend on.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

impl BlockAdapter for AdaptedText {
    fn after_block(&self, block: usize, tokens: Tensor) -> Result<Tensor> {
        match self.blocks.get(block) {
            Some(adapter) => adapter.residual(&tokens, self.share),
            None => Ok(tokens),
        }
    }
}

impl TextAdapter for AdaptedText {
    /// Always with a leaky ReLU, whatever the image tower's projections have.
    fn project(&self, rows: &Tensor) -> Result<Tensor> {
        leaky_relu(&rows.matmul(&self.projection.t()?)?)
    }
}
