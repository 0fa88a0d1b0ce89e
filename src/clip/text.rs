//! The text tower.

use candle_core::{DType, Result, Tensor};
use candle_nn::Module;

use super::BlockAdapter;
use super::block::{Block, BlockShape};
use super::compute::Compute;
use super::config::{Activation, ClipConfig, TextConfig};
use super::layers::{Norm, Params};
use super::tokenizer::Tokens;
use crate::weights::ClipTensors;

/// Something that changes a text tower: its tokens after some blocks, and its projection.
pub trait TextAdapter: BlockAdapter {
    /// The vectors `[N, D]` of end tokens `[N, W]` after `ln_final`, in place of the tower's own projection.
    ///
    /// # Errors
    /// Tokens of another width.
    fn project(&self, rows: &Tensor) -> Result<Tensor>;
}

/// CLIP's causal text transformer (open_clip layout).
#[derive(Debug, Clone)]
pub struct TextTower {
    config: TextConfig,
    /// What the blocks take and give.
    dtype: DType,
    /// `[V, W]`
    tokens: Tensor,
    /// `[T, W]`
    positions: Tensor,
    blocks: Vec<Block>,
    ln_final: Norm,
    /// `[W, D]`
    projection: Tensor,
}

impl TextTower {
    /// Reads the tower from a checkpoint.
    ///
    /// # Errors
    /// A tensor that cannot be read or holds values that are not finite.
    pub fn load(
        config: &ClipConfig,
        activation: Activation,
        tensors: &ClipTensors,
        compute: &Compute,
    ) -> crate::Result<Self> {
        let engine = compute.engine()?;
        let params = Params { tensors, device: compute.device() };
        let t = &config.text;
        let shape = BlockShape {
            width: t.width,
            heads: t.heads,
            mlp_width: t.mlp_width,
            norm_eps: t.norm_eps,
            activation,
        };
        Ok(Self {
            tokens: params.tensor("token_embedding.weight", &[t.vocab_size, t.width])?,
            positions: params.tensor("positional_embedding", &[t.context_length, t.width])?,
            blocks: (0..t.layers)
                .map(|i| Block::load(params, "", i, shape, engine))
                .collect::<crate::Result<_>>()?,
            ln_final: params.norm("ln_final", t.width, t.norm_eps, DType::F32)?,
            projection: params.tensor("text_projection", &[t.width, config.embed_dim])?,
            config: t.clone(),
            dtype: engine.dtype(),
        })
    }

    /// Embeds sentences: `[N, D]`, not normalised.
    ///
    /// The sentence's vector is the row of its end token after `ln_final`, times the projection.
    ///
    /// # Errors
    /// A token id outside the vocabulary, or no sentence at all.
    pub fn embed(&self, sentences: &[Tokens], adapter: Option<&dyn TextAdapter>) -> Result<Tensor> {
        let blocks = adapter.map(|a| a as &dyn BlockAdapter);
        let x = self.hidden(sentences, Self::needed(sentences), self.blocks.len(), blocks)?;
        self.finish(&x, sentences, adapter)
    }

    /// How many tokens of sentences can reach a result: attention is causal, so nothing after the last end token.
    pub fn needed(sentences: &[Tokens]) -> usize {
        sentences.iter().map(|s| s.end() + 1).max().unwrap_or(0)
    }

    /// The vectors `[N, D]` of sentences from their hidden states `[N, length, W]` after the last block.
    ///
    /// # Errors
    /// Hidden states of other sentences, or no sentence at all.
    pub fn finish(
        &self,
        x: &Tensor,
        sentences: &[Tokens],
        adapter: Option<&dyn TextAdapter>,
    ) -> Result<Tensor> {
        let rows: Vec<Tensor> = sentences
            .iter()
            .enumerate()
            .map(|(i, s)| x.narrow(0, i, 1)?.narrow(1, s.end(), 1)?.squeeze(1))
            .collect::<Result<_>>()?;
        let rows = self.ln_final.forward(&Tensor::cat(&rows, 0)?)?;
        match adapter {
            Some(adapter) => adapter.project(&rows),
            None => rows.matmul(&self.projection),
        }
    }

    /// Number of blocks.
    pub fn layers(&self) -> usize {
        self.blocks.len()
    }

    /// The 0-based `block`, `[N, length, W]` to `[N, length, W]`. Gradients pass through to `x`.
    ///
    /// # Errors
    /// A block the tower does not have.
    pub fn block(&self, block: usize, x: &Tensor) -> Result<Tensor> {
        match self.blocks.get(block) {
            Some(block) => block.forward(x, true),
            None => candle_core::bail!("block {block} does not exist: this tower has {}", self.layers()),
        }
    }

    /// The hidden states `[N, length, W]` after the first `blocks` blocks.
    ///
    /// # Errors
    /// A token id outside the vocabulary, or a `length` beyond the context.
    pub fn hidden(
        &self,
        sentences: &[Tokens],
        length: usize,
        blocks: usize,
        adapter: Option<&dyn BlockAdapter>,
    ) -> Result<Tensor> {
        let device = self.tokens.device();
        let ids: Vec<u32> = sentences.iter().flat_map(|s| s.padded(length)).collect();
        if length == 0 || length > self.config.context_length {
            candle_core::bail!("{length} tokens do not fit a context of {}", self.config.context_length);
        }
        if let Some(id) = ids.iter().find(|&&id| id as usize >= self.config.vocab_size) {
            candle_core::bail!(
                "token id {id} is outside the model's vocabulary of {}: its tokenizer does not belong to it",
                self.config.vocab_size
            );
        }
        let ids = Tensor::from_vec(ids, (sentences.len() * length,), device)?;
        let x = self.tokens.index_select(&ids, 0)?.reshape((sentences.len(), length, self.config.width))?;
        let mut x = x.broadcast_add(&self.positions.narrow(0, 0, length)?)?;
        for (i, block) in self.blocks.iter().take(blocks).enumerate() {
            x = block.forward(&x.to_dtype(self.dtype)?, true)?;
            if let Some(adapter) = adapter {
                x = adapter.after_block(i, x.to_dtype(DType::F32)?)?;
            }
        }
        x.to_dtype(DType::F32)
    }
}
