//! One residual block of a tower.

use std::sync::Arc;

use candle_core::{Result, Tensor};

use super::compute::Engine;
use super::config::Activation;
use super::graph_block::GraphBlock;
use super::kernel_block::KernelBlock;
use super::layers::Params;

/// Pre-norm transformer block: `x + attn(ln_1(x))`, then `x + mlp(ln_2(x))`.
#[derive(Debug, Clone)]
pub(super) enum Block {
    Graph(Box<GraphBlock>),
    Kernels(Arc<KernelBlock>),
}

/// What a tower's blocks have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockShape {
    pub width: usize,
    pub heads: usize,
    pub mlp_width: usize,
    pub norm_eps: f64,
    pub activation: Activation,
}

/// Which attentions of a block are wanted, and what is added to them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Paths<'a> {
    /// `x + out(softmax(q k^T / sqrt(d)) v)` of the first `tokens` tokens.
    QueryKey { tokens: usize },
    /// `sum + out(softmax(v v^T / sqrt(d)) v)`: values attend to values (CLIP-AD, section 3.2).
    ValueValue { sum: Option<&'a Tensor> },
    /// Both.
    Both { tokens: usize, sum: Option<&'a Tensor> },
}

impl Block {
    /// Reads block `index` of the tower whose names begin with `tower` (`"visual."` or `""`).
    pub fn load(
        params: Params<'_>,
        tower: &str,
        index: usize,
        shape: BlockShape,
        engine: Engine,
    ) -> crate::Result<Self> {
        let prefix = format!("{tower}transformer.resblocks.{index}.");
        Ok(match engine {
            Engine::Graph(dtype) => Self::Graph(Box::new(GraphBlock::load(params, &prefix, shape, dtype)?)),
            Engine::Kernels(element) => {
                Self::Kernels(Arc::new(KernelBlock::load(params, &prefix, shape, element)?))
            }
        })
    }

    /// The wanted attentions of `[B, L, C]`: on the original path `[B, tokens, C]`, on the surgery path `[B, L, C]`.
    pub fn attend(
        &self,
        x: &Tensor,
        paths: Paths<'_>,
        causal: bool,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        match self {
            Self::Graph(block) => block.attend(x, paths, causal),
            Self::Kernels(block) => block.attend(x, paths, causal),
        }
    }

    /// `out(softmax(v v^T / sqrt(d)) v)`: `[B, L, C]`.
    pub fn value_value(&self, x: &Tensor) -> Result<Tensor> {
        one(self.attend(x, Paths::ValueValue { sum: None }, false)?.1)
    }

    /// `x + mlp(ln_2(x))`.
    pub fn add_mlp(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Graph(block) => block.add_mlp(x),
            Self::Kernels(block) => block.add_mlp(x),
        }
    }

    /// The whole block, `[B, L, C]` to `[B, L, C]`.
    pub fn forward(&self, x: &Tensor, causal: bool) -> Result<Tensor> {
        let tokens = x.dim(1)?;
        self.add_mlp(&one(self.attend(x, Paths::QueryKey { tokens }, causal)?.0)?)
    }
}

/// A result that was asked for.
pub(super) fn one(result: Option<Tensor>) -> Result<Tensor> {
    result.ok_or_else(|| candle_core::Error::Msg("a block left out an attention that was wanted".to_owned()))
}
