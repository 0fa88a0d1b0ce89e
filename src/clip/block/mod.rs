//! One residual block of a tower.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use candle_core::{DType, Result, Tensor};

use super::compute::Engine;
use super::config::Activation;
use super::graph_block::GraphBlock;
use super::kernel_block::KernelBlock;
use super::layers::Params;
use crate::kernels::Attention;

/// Pre-norm transformer block: `x + attention(ln_1(x))`, then `x + mlp(ln_2(x))`.
///
/// Tokens `[B, L, C]` may have any floating-point type; results have the type that the tower computes in.
#[derive(Debug, Clone)]
pub struct Block {
    width: usize,
    dtype: DType,
    engine: BlockEngine,
}

#[derive(Debug, Clone)]
enum BlockEngine {
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

/// An attention requested from a block.
#[derive(Debug, Clone, Copy)]
pub struct AttentionRequest<'a> {
    /// The attention weights.
    pub attention: Attention,
    /// Tokens of a sequence, counted from the first, whose result is wanted. They attend to all tokens.
    pub tokens: usize,
    /// Added to the projected result: `[B, T, C]` with `T >= tokens`, of which the first `tokens` rows are used. The
    /// block's input makes this the residual connection.
    pub add: Option<&'a Tensor>,
}

impl AttentionRequest<'_> {
    /// What is added to the result of the tokens `x`, `[B, tokens, C]` and of their type.
    fn added(&self, x: &Tensor) -> Result<Option<Tensor>> {
        let (batch, length, width) = x.dims3()?;
        let tokens = self.tokens;
        if tokens > length {
            candle_core::bail!("attention of {tokens} tokens is requested for a sequence of {length}");
        }
        match self.add {
            None => Ok(None),
            Some(add) if matches!(*add.dims(), [b, t, w] if b == batch && t >= tokens && w == width) => {
                add.narrow(1, 0, tokens)?.to_dtype(x.dtype())?.contiguous().map(Some)
            }
            Some(add) => candle_core::bail!(
                "expected [{batch}, {tokens} or more, {width}] to add to an attention, got {:?}",
                add.shape()
            ),
        }
    }
}

impl Block {
    /// Reads block `index` of the tower whose names begin with `tower` (`"visual."` or `""`).
    pub(super) fn load(
        params: Params<'_>,
        tower: &str,
        index: usize,
        shape: BlockShape,
        engine: Engine,
    ) -> crate::Result<Self> {
        let prefix = format!("{tower}transformer.resblocks.{index}.");
        let (width, dtype) = (shape.width, engine.dtype());
        let engine = match engine {
            Engine::Graph(dtype) => {
                BlockEngine::Graph(Box::new(GraphBlock::load(params, &prefix, shape, dtype)?))
            }
            Engine::Kernels(element) => {
                BlockEngine::Kernels(Arc::new(KernelBlock::load(params, &prefix, shape, element)?))
            }
        };
        Ok(Self { width, dtype, engine })
    }

    /// `add + out(attention(ln_1(x)))` of `[B, L, C]` for each request, `[B, tokens, C]`, in the order of the
    /// requests. They share the projection to queries, keys and values. `causal`: a token attends only to itself and
    /// to those before it.
    ///
    /// # Errors
    /// Tokens of another width, more `tokens` than there are, or something to add of another shape.
    pub fn attend(&self, x: &Tensor, requests: &[AttentionRequest<'_>], causal: bool) -> Result<Vec<Tensor>> {
        let x = self.input(x)?;
        let added: Vec<Option<Tensor>> =
            requests.iter().map(|request| request.added(&x)).collect::<Result<_>>()?;
        let requests: Vec<AttentionRequest<'_>> = requests
            .iter()
            .zip(&added)
            .map(|(r, add)| AttentionRequest { add: add.as_ref(), ..*r })
            .collect();
        match &self.engine {
            BlockEngine::Graph(block) => block.attend(&x, &requests, causal),
            BlockEngine::Kernels(block) => block.attend(&x, &requests, causal),
        }
    }

    /// As [`Self::attend`], for one request.
    ///
    /// # Errors
    /// As [`Self::attend`].
    pub fn attend_one(&self, x: &Tensor, request: AttentionRequest<'_>, causal: bool) -> Result<Tensor> {
        let mut results = self.attend(x, &[request], causal)?;
        results.pop().ok_or_else(|| candle_core::Error::Msg("a block gave no attention".to_owned()))
    }

    /// `x + mlp(ln_2(x))`: `[B, L, C]` to `[B, L, C]`.
    ///
    /// # Errors
    /// Tokens of another width.
    pub fn mlp(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.input(x)?;
        match &self.engine {
            BlockEngine::Graph(block) => block.mlp(&x),
            BlockEngine::Kernels(block) => block.mlp(&x),
        }
    }

    /// The whole block, `[B, L, C]` to `[B, L, C]`: Q-K attention with its residual connection, then the MLP.
    ///
    /// # Errors
    /// Tokens of another width.
    pub fn forward(&self, x: &Tensor, causal: bool) -> Result<Tensor> {
        let request = AttentionRequest { attention: Attention::QK, tokens: x.dim(1)?, add: Some(x) };
        self.mlp(&self.attend_one(x, request, causal)?)
    }

    /// Tokens in the type and layout that the engines read.
    fn input(&self, x: &Tensor) -> Result<Tensor> {
        match x.dims() {
            &[_, _, width] if width == self.width => x.to_dtype(self.dtype)?.contiguous(),
            _ => candle_core::bail!("expected tokens of [B, L, {}], got {:?}", self.width, x.shape()),
        }
    }
}
