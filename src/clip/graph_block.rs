//! A residual block of candle's operations: any device, and gradients pass through it.

use candle_core::{D, DType, Result, Tensor};
use candle_nn::{Linear, Module};

use super::block::{BlockShape, Paths};
use super::differentiable::{linear, softmax};
use super::layers::{Mlp, Norm, Params};

/// Scores held at once. A ViT-L/14 at 518 px would need 120 MB a block for all heads together; a group of heads
/// that fits the cache hierarchy better is also faster.
const SCORES_AT_ONCE: usize = 8 << 20;

/// Pre-norm transformer block.
#[derive(Debug, Clone)]
pub(super) struct GraphBlock {
    ln_1: Norm,
    attention: Attention,
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
            attention: Attention {
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
    pub fn attend(
        &self,
        x: &Tensor,
        paths: Paths<'_>,
        causal: bool,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let heads = self.attention.split(&self.ln_1.forward(x)?)?;
        let surgery = match paths {
            Paths::QueryKey { .. } => None,
            Paths::ValueValue { sum } | Paths::Both { sum, .. } => {
                let added = self.attention.value_value(&heads)?;
                Some(match sum {
                    Some(sum) => (sum + added)?,
                    None => added,
                })
            }
        };
        let tokens = match paths {
            Paths::ValueValue { .. } => None,
            Paths::QueryKey { tokens } | Paths::Both { tokens, .. } => Some(tokens),
        };
        let original = match tokens {
            None => None,
            Some(tokens) => {
                let mask = causal.then(|| causal_mask(x)).transpose()?;
                let attended = self.attention.query_key(&heads, mask.as_ref())?;
                Some((x.narrow(1, 0, tokens)? + attended.narrow(1, 0, tokens)?)?)
            }
        };
        Ok((original, surgery))
    }

    /// `x + mlp(ln_2(x))`.
    pub fn add_mlp(&self, x: &Tensor) -> Result<Tensor> {
        x + self.mlp.forward(&self.ln_2.forward(&x.contiguous()?)?)?
    }
}

/// `[L, L]`: 0 where a token may look, minus infinity above the diagonal.
fn causal_mask(x: &Tensor) -> Result<Tensor> {
    let length = x.dim(1)?;
    let values = (0..length * length).map(|i| if i % length > i / length { f32::NEG_INFINITY } else { 0.0 });
    Tensor::from_iter(values, x.device())?.reshape((length, length))?.to_dtype(x.dtype())
}

/// Attention of one block: a packed projection to queries, keys and values, and the projection of the result.
#[derive(Debug, Clone)]
struct Attention {
    /// `[3C, C]`: queries, keys, values.
    project_in: Linear,
    /// `[C, C]`
    project_out: Linear,
    heads: usize,
}

/// Queries, keys and values of a block, each `[B * heads, L, head_dim]`.
struct Heads {
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    batch: usize,
}

impl Attention {
    /// Projects `[B, L, C]` and splits it into heads.
    fn split(&self, x: &Tensor) -> Result<Heads> {
        let (batch, length, width) = x.dims3()?;
        let packed = linear(&self.project_in, x)?;
        let packed = packed.reshape((batch, length, 3, self.heads, width / self.heads))?;
        let part = |i| {
            let one = packed.narrow(2, i, 1)?.squeeze(2)?.transpose(1, 2)?.contiguous()?;
            one.reshape((batch * self.heads, length, width / self.heads))
        };
        Ok(Heads { queries: part(0)?, keys: part(1)?, values: part(2)?, batch })
    }

    /// `out(softmax(q k^T / sqrt(d) + mask) v)`: `[B, L, C]`.
    fn query_key(&self, heads: &Heads, mask: Option<&Tensor>) -> Result<Tensor> {
        self.merge(heads, attend(&heads.queries, &heads.keys, &heads.values, mask)?)
    }

    /// `out(softmax(v v^T / sqrt(d)) v)`: `[B, L, C]`. Values attend to values (CLIP-AD, section 3.2).
    fn value_value(&self, heads: &Heads) -> Result<Tensor> {
        self.merge(heads, attend(&heads.values, &heads.values, &heads.values, None)?)
    }

    fn merge(&self, heads: &Heads, attended: Tensor) -> Result<Tensor> {
        let (_, length, head_dim) = attended.dims3()?;
        let joined = attended.reshape((heads.batch, self.heads, length, head_dim))?.transpose(1, 2)?;
        let joined = joined.contiguous()?.reshape((heads.batch, length, self.heads * head_dim))?;
        linear(&self.project_out, &joined)
    }
}

/// `softmax(a b^T / sqrt(d) + mask) v` over the last axis; `a`, `b`, `v`: `[N, L, d]`, `mask`: `[L, L]`.
fn attend(a: &Tensor, b: &Tensor, v: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
    let (count, length, head_dim) = a.dims3()?;
    let a = (a * (head_dim as f64).powf(-0.5))?;
    let group = (SCORES_AT_ONCE / (length * length)).clamp(1, count);
    let mut parts = Vec::with_capacity(count.div_ceil(group));
    for start in (0..count).step_by(group) {
        let size = group.min(count - start);
        let scores = a.narrow(0, start, size)?.matmul(&b.narrow(0, start, size)?.transpose(1, D::Minus1)?)?;
        let scores = match mask {
            Some(mask) => scores.broadcast_add(mask)?,
            None => scores,
        };
        let weights = softmax(&scores)?;
        parts.push(weights.matmul(&v.narrow(0, start, size)?)?);
    }
    match &parts[..] {
        [only] => Ok(only.clone()),
        several => Tensor::cat(several, 0),
    }
}
