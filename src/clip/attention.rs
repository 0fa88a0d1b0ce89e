//! Multi-head attention, in its ordinary form and in the V-V form of CLIP surgery.

use candle_core::{D, Result, Tensor};
use candle_nn::Linear;

use super::differentiable::{linear, softmax};

/// Scores held at once. A ViT-L/14 at 518 px would need 120 MB a block for all heads together; a group of heads
/// that fits the cache hierarchy better is also faster.
const SCORES_AT_ONCE: usize = 8 << 20;

/// Attention of one block: a packed projection to queries, keys and values, and the projection of the result.
#[derive(Debug, Clone)]
pub(super) struct Attention {
    /// `[3C, C]`: queries, keys, values.
    pub project_in: Linear,
    /// `[C, C]`
    pub project_out: Linear,
    pub heads: usize,
}

/// Queries, keys and values of a block, each `[B * heads, L, head_dim]`.
pub(super) struct Heads {
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    batch: usize,
}

impl Attention {
    /// Projects `[B, L, C]` and splits it into heads.
    pub fn split(&self, x: &Tensor) -> Result<Heads> {
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
    pub fn query_key(&self, heads: &Heads, mask: Option<&Tensor>) -> Result<Tensor> {
        self.merge(heads, attend(&heads.queries, &heads.keys, &heads.values, mask)?)
    }

    /// `out(softmax(v v^T / sqrt(d)) v)`: `[B, L, C]`. Values attend to values (CLIP-AD, section 3.2).
    pub fn value_value(&self, heads: &Heads) -> Result<Tensor> {
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
