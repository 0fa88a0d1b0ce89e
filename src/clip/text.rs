//! The text tower in steps, which each method combines in its own way.

use candle_core::{DType, Result, Tensor};
use candle_nn::Module;

use super::block::{Block, BlockShape};
use super::compute::Compute;
use super::config::{Activation, ClipConfig, TextConfig};
use super::layers::{Norm, Params};
use super::tokenizer::Tokens;
use crate::weights::ClipTensors;

/// CLIP's causal text transformer (open_clip layout).
#[derive(Debug, Clone)]
pub struct TextTower {
    config: TextConfig,
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
    /// Loads the tower from a checkpoint.
    ///
    /// # Errors
    /// A tensor cannot be read or has values that are not finite.
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
        })
    }

    /// The plain forward pass: the vectors of sentences, `[N, D]`, not normalised.
    ///
    /// # Errors
    /// A token id is outside the vocabulary, or `sentences` is empty.
    pub fn embed(&self, sentences: &[Tokens]) -> Result<Tensor> {
        let mut x = self.begin(sentences, Self::needed(sentences))?;
        for block in &self.blocks {
            x = block.forward(&x, true)?;
        }
        self.project(&self.finish(&x, sentences)?)
    }

    /// The number of leading tokens that affect the results: attention is causal, so tokens after the last
    /// end token do not.
    pub fn needed(sentences: &[Tokens]) -> usize {
        sentences.iter().map(|s| s.end() + 1).max().unwrap_or(0)
    }

    /// The first `length` tokens of sentences before the first block, `[N, length, W]`.
    ///
    /// # Errors
    /// A token id is outside the vocabulary, or `length` exceeds the context.
    pub fn begin(&self, sentences: &[Tokens], length: usize) -> Result<Tensor> {
        if length == 0 || length > self.config.context_length {
            candle_core::bail!("{length} tokens do not fit a context of {}", self.config.context_length);
        }
        let ids: Vec<u32> = sentences.iter().flat_map(|s| s.padded(length)).collect();
        if let Some(id) = ids.iter().find(|&&id| id as usize >= self.config.vocab_size) {
            candle_core::bail!(
                "token id {id} is outside the model's vocabulary of {}: its tokenizer is for another model",
                self.config.vocab_size
            );
        }
        let ids = Tensor::from_vec(ids, (sentences.len() * length,), self.tokens.device())?;
        let x = self.tokens.index_select(&ids, 0)?.reshape((sentences.len(), length, self.config.width))?;
        x.broadcast_add(&self.positions.narrow(0, 0, length)?)
    }

    /// The blocks in order, for causal attention.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Number of blocks.
    pub fn layers(&self) -> usize {
        self.blocks.len()
    }

    /// The end tokens `[N, W]` of sentences after `ln_final`, from the tokens `[N, length, W]` after the last
    /// block.
    ///
    /// # Errors
    /// The tokens do not match the sentences, or `sentences` is empty.
    pub fn finish(&self, x: &Tensor, sentences: &[Tokens]) -> Result<Tensor> {
        let x = x.to_dtype(DType::F32)?;
        let rows: Vec<Tensor> = sentences
            .iter()
            .enumerate()
            .map(|(i, s)| x.narrow(0, i, 1)?.narrow(1, s.end(), 1)?.squeeze(1))
            .collect::<Result<_>>()?;
        self.ln_final.forward(&Tensor::cat(&rows, 0)?)
    }

    /// The tower's own projection of end tokens: `[N, W]` to `[N, D]`.
    ///
    /// # Errors
    /// The tokens have another width.
    pub fn project(&self, rows: &Tensor) -> Result<Tensor> {
        rows.matmul(&self.projection)
    }
}
