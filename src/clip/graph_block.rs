//! A residual block of candle's operations: any device, and gradients pass through it.

use candle_core::{D, DType, Result, Tensor};
use candle_nn::{Linear, Module};

use super::block::{AttentionRequest, BlockShape};
use super::differentiable::{linear, softmax};
use super::layers::{Mlp, Norm, Params};
use crate::kernels::{Attention, Projected};

/// Scores in memory at a time. A ViT-L/14 at 518 px would need 120 MB a block for all heads together; a group of heads
/// that fits the cache hierarchy better is also faster.
const SCORES_AT_ONCE: usize = 8 << 20;

/// Pre-norm transformer block.
#[derive(Debug, Clone)]
pub(super) struct GraphBlock {
    ln_1: Norm,
    attention: Projections,
    ln_2: Norm,
    mlp: Mlp,
}

impl GraphBlock {
    /// Reads the block whose names begin with `prefix`.
    pub fn load(params: Params<'_>, prefix: &str, shape: BlockShape, dtype: DType) -> crate::Result<Self> {
        let name = |part: &str| format!("{prefix}{part}");
        let BlockShape { width, heads, mlp_width, norm_eps, activation } = shape;
        let linear = |weight: &str, bias: &str, io| params.linear(&name(weight), &name(bias), io, dtype);
        Ok(Self {
            ln_1: params.norm(&name("ln_1"), width, norm_eps, dtype)?,
            attention: Projections {
                project_in: linear("attn.in_proj_weight", "attn.in_proj_bias", (width, 3 * width))?,
                project_out: linear("attn.out_proj.weight", "attn.out_proj.bias", (width, width))?,
                heads,
            },
            ln_2: params.norm(&name("ln_2"), width, norm_eps, dtype)?,
            mlp: Mlp {
                expand: linear("mlp.c_fc.weight", "mlp.c_fc.bias", (width, mlp_width))?,
                contract: linear("mlp.c_proj.weight", "mlp.c_proj.bias", (mlp_width, width))?,
                activation,
            },
        })
    }

    /// See [`super::block::Block::attend`].
    pub fn attend(&self, x: &Tensor, requests: &[AttentionRequest<'_>], causal: bool) -> Result<Vec<Tensor>> {
        let heads = self.attention.split(&self.ln_1.forward(x)?)?;
        let mask = causal.then(|| causal_mask(x)).transpose()?;
        let attend = |request: &AttentionRequest<'_>| {
            let attended = heads.attend(request.attention, request.tokens, mask.as_ref())?;
            let projected = self.attention.merge(x.dim(0)?, attended)?;
            match request.add {
                Some(add) => add + projected,
                None => Ok(projected),
            }
        };
        requests.iter().map(attend).collect()
    }

    /// `x + mlp(ln_2(x))`.
    pub fn mlp(&self, x: &Tensor) -> Result<Tensor> {
        x + self.mlp.forward(&self.ln_2.forward(x)?)?
    }
}

/// `[L, L]`: 0 where attention is allowed, minus infinity above the diagonal.
fn causal_mask(x: &Tensor) -> Result<Tensor> {
    let length = x.dim(1)?;
    let values = (0..length * length).map(|i| if i % length > i / length { f32::NEG_INFINITY } else { 0.0 });
    Tensor::from_iter(values, x.device())?.reshape((length, length))?.to_dtype(x.dtype())
}

/// The two projections of a block's attention.
#[derive(Debug, Clone)]
struct Projections {
    /// `[3C, C]`: queries, keys, values.
    project_in: Linear,
    /// `[C, C]`
    project_out: Linear,
    heads: usize,
}

impl Projections {
    /// Projects `[B, L, C]` and splits it into heads.
    fn split(&self, x: &Tensor) -> Result<Heads> {
        let (batch, length, width) = x.dims3()?;
        let packed = linear(&self.project_in, x)?;
        let packed = packed.reshape((batch, length, 3, self.heads, width / self.heads))?;
        let part = |i| {
            let one = packed.narrow(2, i, 1)?.squeeze(2)?.transpose(1, 2)?.contiguous()?;
            one.reshape((batch * self.heads, length, width / self.heads))
        };
        Ok(Heads { queries: part(0)?, keys: part(1)?, values: part(2)? })
    }

    /// Joins the heads of `[B * heads, T, head_dim]` and projects them: `[B, T, C]`.
    fn merge(&self, batch: usize, attended: Tensor) -> Result<Tensor> {
        let (_, tokens, head_dim) = attended.dims3()?;
        let joined = attended.reshape((batch, self.heads, tokens, head_dim))?.transpose(1, 2)?;
        let joined = joined.contiguous()?.reshape((batch, tokens, self.heads * head_dim))?;
        linear(&self.project_out, &joined)
    }
}

/// Queries, keys and values of a block, each `[B * heads, L, head_dim]`.
struct Heads {
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
}

impl Heads {
    fn part(&self, part: Projected) -> &Tensor {
        match part {
            Projected::Query => &self.queries,
            Projected::Key => &self.keys,
            Projected::Value => &self.values,
        }
    }

    /// The attention of the first `tokens` tokens, `[B * heads, tokens, head_dim]`. `mask`: `[L, L]`, added to the
    /// scores.
    fn attend(&self, attention: Attention, tokens: usize, mask: Option<&Tensor>) -> Result<Tensor> {
        let (count, length, head_dim) = self.values.dims3()?;
        if attention.pairs().is_empty() {
            return self.values.narrow(1, 0, tokens);
        }
        let mask = mask.map(|mask| mask.narrow(0, 0, tokens)).transpose()?;
        let scaled = |part: Projected| self.part(part).narrow(1, 0, tokens)? * (head_dim as f64).powf(-0.5);
        let pairs: Vec<(Tensor, &Tensor)> =
            attention.pairs().iter().map(|&(a, b)| Ok((scaled(a)?, self.part(b)))).collect::<Result<_>>()?;
        let group = (SCORES_AT_ONCE / (tokens * length).max(1)).clamp(1, count.max(1));
        let mut parts = Vec::with_capacity(count.div_ceil(group));
        for start in (0..count).step_by(group) {
            let size = group.min(count - start);
            let mut weights: Option<Tensor> = None;
            for (a, b) in &pairs {
                let b = b.narrow(0, start, size)?.transpose(1, D::Minus1)?;
                let scores = a.narrow(0, start, size)?.matmul(&b)?;
                let scores = match &mask {
                    Some(mask) => scores.broadcast_add(mask)?,
                    None => scores,
                };
                let more = softmax(&scores)?;
                weights = Some(match weights {
                    Some(weights) => (weights + more)?,
                    None => more,
                });
            }
            if let Some(weights) = weights {
                parts.push(weights.matmul(&self.values.narrow(0, start, size)?)?);
            }
        }
        match &parts[..] {
            [only] => Ok(only.clone()),
            several => Tensor::cat(several, 0),
        }
    }
}
