//! Multi-head attention without ever holding the whole matrix of scores.
//!
//! A task takes a few queries of one head. Their scores against all keys (some 100 KiB for 1,370 tokens) stay in the
//! second-level cache, become weights in place, and are multiplied with the values. Keys and values are packed into
//! panels once per head. All attentions that are wanted read the same panels, one after the other.

mod plan;
mod softmax;
#[cfg(test)]
mod tests;

use rayon::prelude::*;

use super::buffer::Scratch;
use super::isa::Isa;
use super::linear::Target;
use super::rows::Rows;
use plan::{Plan, Task};

/// Units of packed keys and values up to which short sequences are computed together.
const PACKED_AT_ONCE: usize = 1 << 20;

/// One of the three projections of a token in a block's attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
#[non_exhaustive]
pub enum Projected {
    Query,
    Key,
    Value,
}

/// How tokens attend to each other: the sum of `softmax(a b^T / sqrt(d))` over pairs `(a, b)` of projections, times
/// the values. `d`: the width of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Attention(&'static [(Projected, Projected)]);

impl Attention {
    /// `softmax(q k^T / sqrt(d)) v`: the attention that CLIP was trained with.
    pub const QK: Self = Self(&[(Projected::Query, Projected::Key)]);
    /// `softmax(v v^T / sqrt(d)) v`
    pub const VV: Self = Self(&[(Projected::Value, Projected::Value)]);
    /// `(softmax(q q^T / sqrt(d)) + softmax(k k^T / sqrt(d)) + softmax(v v^T / sqrt(d))) v`: the weights of a token
    /// sum to 3.
    pub const QQ_KK_VV: Self = Self(&[
        (Projected::Query, Projected::Query),
        (Projected::Key, Projected::Key),
        (Projected::Value, Projected::Value),
    ]);
    /// `v`: each token attends to itself alone. If the rows of a matrix `w` sum to 1, then `w` times the projected
    /// result is the projected `w v`, so a caller can apply weights of its own that are the same for all heads.
    pub const OWN: Self = Self(&[]);

    /// The sum over `pairs`; without any pair [`Self::OWN`].
    pub const fn new(pairs: &'static [(Projected, Projected)]) -> Self {
        Self(pairs)
    }

    /// The pairs whose softmaxes are summed.
    pub fn pairs(self) -> &'static [(Projected, Projected)] {
        self.0
    }
}

/// How the tokens of a batch are divided.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AttentionShape {
    /// Sequences.
    pub batch: usize,
    /// Tokens of a sequence.
    pub length: usize,
    /// Heads of a block.
    pub heads: usize,
    /// Whether a token sees only itself and those before it.
    pub causal: bool,
}

/// Attentions of `qkv` (`[batch * length, 3 C]`: queries, keys, values; floats, or bfloat16 if a head is even), each
/// with the number of tokens of a sequence, counted from the first, whose result is wanted: `[batch * tokens, C]`.
pub(crate) fn attention(
    isa: Isa,
    qkv: &Rows,
    shape: AttentionShape,
    wanted: &[(Attention, usize)],
) -> Vec<Rows> {
    let width = qkv.columns / 3;
    let tokens = |(_, tokens): &(Attention, usize)| shape.length.min(*tokens);
    let mut attended: Vec<Rows> =
        wanted.iter().map(|w| Rows::new(qkv.element, shape.batch * tokens(w), width)).collect();
    let plan = Plan::new(isa, qkv, shape, wanted);
    if plan.is_empty() {
        return attended;
    }
    let results: Vec<(Attention, usize, Target)> = (wanted.iter().zip(&mut attended))
        .map(|(w, rows)| {
            let target =
                Target { units: rows.units.as_mut_ptr(), stride: rows.stride, element: rows.element };
            (w.0, tokens(w), target)
        })
        .collect();
    let size = plan.packed();
    let together = (PACKED_AT_ONCE / (shape.heads * size)).clamp(1, shape.batch.max(1));
    let mut packed = Scratch::new(together * shape.heads * size);
    let at_once = plan.at_once();
    let groups = shape.length.div_ceil(at_once);
    for start in (0..shape.batch).step_by(together) {
        let sequences = together.min(shape.batch - start);
        let heads = sequences * shape.heads;
        let packed = &mut packed[..heads * size];
        let all = packed.par_chunks_exact_mut(size).enumerate();
        all.for_each(|(i, packed)| plan.pack(start + i / shape.heads, i % shape.heads, packed));
        let tasks = (0..heads * groups).into_par_iter();
        tasks.with_max_len((sequences * groups).div_ceil(4)).for_each(|i| {
            let (i, first) = (i / groups, i % groups * at_once);
            let (sequence, head) = (start + i / shape.heads, i % shape.heads);
            let packed = &packed[i * size..][..size];
            for (attention, tokens, target) in &results {
                let queries = first..(first + at_once).min(*tokens);
                if !queries.is_empty() {
                    // SAFETY: the results of these queries of this head are written by this task alone.
                    let units = unsafe { target.units.add(sequence * tokens * target.stride) };
                    let task = Task { sequence, head, queries, packed };
                    plan.attend(&task, *attention, Target { units, ..*target });
                }
            }
        });
    }
    attended
}
