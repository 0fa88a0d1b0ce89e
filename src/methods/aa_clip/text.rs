//! AA-CLIP's adapters of the text tower, and its forward pass.

use candle_core::{DType, Result, Tensor};

use super::Share;
use super::projection::{Projection, leaky_relu};
use crate::anchors::SentenceEncoder;
use crate::clip::{TextTower, Tokens};

/// Residual adapters after the first blocks, and a projection that replaces the tower's own.
#[derive(Debug, Clone)]
pub struct TextAdapter {
    /// `[W, W]` each.
    pub(super) blocks: Vec<Projection>,
    pub(super) share: Share,
    /// `[D, W]`
    pub(super) projection: Tensor,
    /// A hash that identifies these adapters in the cache of anchors.
    pub(super) digest: String,
}

impl TextAdapter {
    /// Adapters from their weights, `[W, W]` per adapted block and `[D, W]`. `digest` identifies them in the
    /// cache of anchors.
    pub fn new(blocks: Vec<Tensor>, share: Share, projection: Tensor, digest: String) -> Self {
        let blocks = blocks.into_iter().map(Projection::new).collect();
        Self { blocks, share, projection, digest }
    }

    /// The tokens `[N, L, W]` after the 0-based `block`, changed by the block's adapter, if any.
    ///
    /// # Errors
    /// The tokens have another width.
    pub fn after_block(&self, block: usize, tokens: Tensor) -> Result<Tensor> {
        match self.blocks.get(block) {
            Some(adapter) => adapter.residual(&tokens.to_dtype(DType::F32)?, self.share),
            None => Ok(tokens),
        }
    }

    /// The vectors `[N, D]` of end tokens `[N, W]`. Always with a leaky ReLU, whether or not the image
    /// projections have one.
    ///
    /// # Errors
    /// The tokens have another width.
    pub fn project(&self, rows: &Tensor) -> Result<Tensor> {
        leaky_relu(&rows.matmul(&self.projection.t()?)?)
    }
}

impl SentenceEncoder for TextAdapter {
    fn digest(&self) -> &str {
        &self.digest
    }

    fn encode(&self, tower: &TextTower, sentences: &[Tokens]) -> Result<Tensor> {
        let mut x = tower.begin(sentences, TextTower::needed(sentences))?;
        for (i, block) in tower.blocks().iter().enumerate() {
            x = self.after_block(i, block.forward(&x, true)?)?;
        }
        self.project(&tower.finish(&x, sentences)?)
    }
}

impl std::fmt::Display for TextAdapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} blocks, weight {}", self.blocks.len(), self.share.value())
    }
}
