//! Multi-head attention without ever holding the whole matrix of scores.
//!
//! A task takes a few queries of one head. Their scores against all keys (some 100 KiB for 1,370 tokens) stay in the
//! second-level cache, become weights in place, and are multiplied with the values. Whatever serves as keys, and the
//! values, are packed into panels once per head; all attentions that are wanted read the same panels, one after the
//! other.

mod softmax;
#[cfg(test)]
mod tests;

use std::ops::Range;

use rayon::prelude::*;

use super::buffer::Scratch;
use super::isa::Isa;
use super::linear::Target;
use super::rows::Rows;
use super::tile::{Element, PANEL, Tile, TileKernel, kernels};
use softmax::{accumulate, round, share, soften};

/// Tiles of queries in a task.
const TILES: usize = 2;
/// Units of packed keys and values at once, if a sequence needs no more: short sequences are computed together.
const PACKED_AT_ONCE: usize = 1 << 20;

/// What a block projects a token to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
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
/// for the first tokens of a sequence, as many as stand beside it: `[batch * tokens, C]`.
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
    if plan.length == 0 || plan.head == 0 {
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
    let at_once = TILES * plan.kernels.len();
    let groups = plan.length.div_ceil(at_once);
    for start in (0..shape.batch).step_by(together) {
        let heads = together.min(shape.batch - start) * shape.heads;
        let packed = &mut packed[..heads * size];
        (packed.par_chunks_exact_mut(size).enumerate())
            .for_each(|(i, packed)| plan.pack(start + i / shape.heads, i % shape.heads, packed));
        let tasks = (0..heads * groups).into_par_iter();
        tasks.with_max_len((heads / shape.heads * groups).div_ceil(4)).for_each(|i| {
            let (head, first) = (i / groups, i % groups * at_once);
            let packed = &packed[head * size..][..size];
            let (sequence, head) = (start + head / shape.heads, head % shape.heads);
            for (attention, tokens, target) in &results {
                let queries = first..(first + at_once).min(*tokens);
                if !queries.is_empty() {
                    // SAFETY: the results of these queries of this head are written by this task alone.
                    let units = unsafe { target.units.add(sequence * tokens * target.stride) };
                    plan.attend(sequence, head, queries, *attention, packed, Target { units, ..*target });
                }
            }
        });
    }
    attended
}

/// Sizes and places, worked out once.
struct Plan<'a> {
    isa: Isa,
    qkv: &'a Rows,
    kernels: &'static [TileKernel],
    length: usize,
    causal: bool,
    /// Numbers of a head.
    head: usize,
    /// Units of a head's row.
    depth: usize,
    /// Units of a row of weights.
    key_units: usize,
    /// Panels that hold all keys, and those that hold a head's values.
    key_panels: usize,
    value_panels: usize,
    /// Which of queries, keys and values are packed as keys.
    as_keys: [bool; 3],
}

impl<'a> Plan<'a> {
    fn new(isa: Isa, qkv: &'a Rows, shape: AttentionShape, wanted: &[(Attention, usize)]) -> Self {
        let per_unit = qkv.element.per_unit();
        let head = qkv.columns / 3 / shape.heads.max(1);
        assert!(
            head * shape.heads * 3 == qkv.columns && shape.batch * shape.length == qkv.rows,
            "tokens of another shape"
        );
        assert!(head.is_multiple_of(per_unit) && qkv.element != Element::Int8, "a head must be whole units");
        let keys = wanted.iter().flat_map(|(attention, _)| attention.pairs()).map(|(_, b)| *b);
        let mut as_keys = [false; 3];
        keys.for_each(|part| as_keys[part as usize] = true);
        Self {
            isa,
            qkv,
            kernels: kernels(isa, qkv.element),
            length: shape.length,
            causal: shape.causal,
            head,
            depth: head / per_unit,
            key_units: shape.length.div_ceil(per_unit),
            key_panels: shape.length.div_ceil(PANEL),
            value_panels: head.div_ceil(PANEL),
            as_keys,
        }
    }

    /// Units that a head's values take, and one of its packed keys.
    fn sizes(&self) -> (usize, usize) {
        (self.value_panels * self.key_units * PANEL, self.key_panels * self.depth * PANEL)
    }

    /// Units that a head takes: its values, and then what is packed as keys.
    fn packed(&self) -> usize {
        let (values, keys) = self.sizes();
        values + self.as_keys.iter().filter(|used| **used).count() * keys
    }

    /// The panels of what is packed as keys.
    fn keys<'p>(&self, packed: &'p [u32], part: Projected) -> &'p [u32] {
        let (values, keys) = self.sizes();
        let before = self.as_keys[..part as usize].iter().filter(|used| **used).count();
        &packed[values + before * keys..][..keys]
    }

    /// Where a token's part of a head begins.
    fn place(&self, sequence: usize, token: usize, part: Projected, head: usize) -> usize {
        let width = self.qkv.columns / 3;
        let column = (part as usize * width + head * self.head) / self.qkv.element.per_unit();
        (sequence * self.length + token) * self.qkv.stride + column
    }

    /// The units of a token's part of a head.
    fn units(&self, sequence: usize, token: usize, part: Projected, head: usize) -> &[u32] {
        &self.qkv.units[self.place(sequence, token, part, head)..][..self.depth]
    }

    /// Packs a head: its values, and whatever serves as keys.
    fn pack(&self, sequence: usize, head: usize, packed: &mut [u32]) {
        let (values, keys) = self.sizes();
        let (value_part, rest) = packed.split_at_mut(values);
        self.pack_values(sequence, head, value_part);
        let parts = [Projected::Query, Projected::Key, Projected::Value].into_iter().zip(self.as_keys);
        let used = parts.filter(|(_, used)| *used);
        for ((part, _), packed) in used.zip(rest.chunks_exact_mut(keys)) {
            self.pack_keys(sequence, head, part, packed);
        }
    }

    /// `[panels][depth][32 keys]`.
    fn pack_keys(&self, sequence: usize, head: usize, part: Projected, packed: &mut [u32]) {
        for (p, panel) in packed.chunks_exact_mut(self.depth * PANEL).enumerate() {
            let tokens = PANEL.min(self.length - p * PANEL);
            if tokens < PANEL {
                panel.fill(0);
            }
            for t in 0..tokens {
                let row = self.units(sequence, p * PANEL + t, part, head);
                panel.iter_mut().skip(t).step_by(PANEL).zip(row).for_each(|(to, from)| *to = *from);
            }
        }
    }

    /// `[panels][units of keys][32 numbers of the head]`.
    fn pack_values(&self, sequence: usize, head: usize, packed: &mut [u32]) {
        for (p, panel) in packed.chunks_exact_mut(self.key_units * PANEL).enumerate() {
            let first = p * PANEL;
            let count = PANEL.min(self.head - first);
            if count < PANEL {
                panel.fill(0);
            }
            for (k, unit) in panel.chunks_exact_mut(PANEL).enumerate() {
                if self.qkv.element == Element::F32 {
                    unit[..count].copy_from_slice(
                        &self.units(sequence, k, Projected::Value, head)[first..first + count],
                    );
                    continue;
                }
                // Pairs of neighbouring numbers of two tokens become pairs of the same number of both.
                let even =
                    &self.units(sequence, 2 * k, Projected::Value, head)[first / 2..(first + count) / 2];
                let odd = (2 * k + 1 < self.length).then(|| {
                    &self.units(sequence, 2 * k + 1, Projected::Value, head)[first / 2..(first + count) / 2]
                });
                for (i, (pair, even)) in unit.as_chunks_mut::<2>().0.iter_mut().zip(even).enumerate() {
                    let odd = odd.map_or(0, |odd| odd[i]);
                    *pair = [even & 0xFFFF | odd << 16, even >> 16 | odd & 0xFFFF_0000];
                }
            }
        }
    }

    /// One attention of some queries of a head, written to `target`, where the sequence's results begin.
    fn attend(
        &self,
        sequence: usize,
        head: usize,
        queries: Range<usize>,
        attention: Attention,
        packed: &[u32],
        target: Target,
    ) {
        let result = |row: usize| {
            let column = head * self.head / self.qkv.element.per_unit();
            // SAFETY: `target` has this row, and no other task writes this head's part of it.
            unsafe {
                std::slice::from_raw_parts_mut(target.units.add(row * target.stride + column), self.depth)
            }
        };
        if attention == Attention::OWN {
            queries.for_each(|row| {
                result(row).copy_from_slice(self.units(sequence, row, Projected::Value, head));
            });
            return;
        }
        let height = self.kernels.len();
        let row_units = self.row_units();
        let out_units = self.value_panels * PANEL;
        let mut weights = Scratch::new(TILES * height * row_units);
        let several = attention.pairs().len() > 1;
        match *attention.pairs() {
            [pair] => self.score(sequence, head, queries.clone(), pair, packed, &mut weights),
            ref pairs => self.sum(sequence, head, queries.clone(), pairs, packed, &mut weights),
        }
        let mut sums = Scratch::new(height * out_units);
        for (t, first) in queries.clone().step_by(height).enumerate() {
            let count = height.min(queries.end - first);
            let weights = &mut weights[t * height * row_units..][..height * row_units];
            let last = if self.causal { first + count } else { self.length };
            let depth = last.div_ceil(self.qkv.element.per_unit());
            let mut shares = [1f32; 16];
            for (r, row) in weights.chunks_exact_mut(row_units).take(count).enumerate() {
                if several {
                    round(self.isa, row, depth, self.qkv.element);
                } else {
                    soften(
                        self.isa,
                        row,
                        self.seen(first + r),
                        depth,
                        self.scale(),
                        self.qkv.element,
                        &mut shares[r],
                    );
                }
            }
            for p in 0..self.value_panels {
                let tile = Tile {
                    a: weights.as_ptr(),
                    a_stride: row_units,
                    b: packed[p * self.key_units * PANEL..].as_ptr(),
                    depth,
                    out: sums[p * PANEL..].as_mut_ptr(),
                    out_stride: out_units,
                    fresh: true,
                    ahead: packed.as_ptr().wrapping_add((p + 1) * self.key_units * PANEL),
                };
                // SAFETY: `count` rows of weights of `depth` units, a panel of at least that depth, room for the sums.
                unsafe { self.kernels[count - 1](&tile) };
            }
            for r in 0..count {
                share(
                    self.isa,
                    &sums[r * out_units..][..self.head],
                    shares[r],
                    target.element,
                    result(first + r),
                );
            }
        }
    }

    /// Units of a row of scores or weights.
    fn row_units(&self) -> usize {
        self.key_panels * PANEL + 16
    }

    /// Keys that a token sees.
    fn seen(&self, token: usize) -> usize {
        if self.causal { token + 1 } else { self.length }
    }

    /// What scores are multiplied with to become exponents of 2.
    fn scale(&self) -> f32 {
        (self.head as f32).powf(-0.5) * std::f32::consts::LOG2_E
    }

    /// Scores of some queries of a head against all keys that any of them sees, in rows of floats.
    fn score(
        &self,
        sequence: usize,
        head: usize,
        queries: Range<usize>,
        (a, b): (Projected, Projected),
        packed: &[u32],
        scores: &mut [u32],
    ) {
        let (height, row_units) = (self.kernels.len(), self.row_units());
        let keys = self.keys(packed, b);
        for p in 0..self.seen(queries.end - 1).div_ceil(PANEL) {
            for (t, first) in queries.clone().step_by(height).enumerate() {
                let count = height.min(queries.end - first);
                let tile = Tile {
                    a: self.qkv.units[self.place(sequence, first, a, head)..].as_ptr(),
                    a_stride: self.qkv.stride,
                    b: keys[p * self.depth * PANEL..].as_ptr(),
                    depth: self.depth,
                    out: scores[t * height * row_units + p * PANEL..].as_mut_ptr(),
                    out_stride: row_units,
                    fresh: true,
                    ahead: keys.as_ptr().wrapping_add((p + 1) * self.depth * PANEL),
                };
                // SAFETY: `count` tokens from `first` on exist, and `scores` has a row with room for all panels for each.
                unsafe { self.kernels[count - 1](&tile) };
            }
        }
    }

    /// The sum of several softmaxes, in rows of floats, zero beyond what a token sees.
    ///
    /// Weights are summed, not results: an addition for each key is less than a product of `head` numbers for it.
    fn sum(
        &self,
        sequence: usize,
        head: usize,
        queries: Range<usize>,
        pairs: &[(Projected, Projected)],
        packed: &[u32],
        weights: &mut [u32],
    ) {
        let row_units = self.row_units();
        let used = queries.len() * row_units;
        weights[..used].fill(0);
        let mut scores = Scratch::new(weights.len());
        for pair in pairs {
            self.score(sequence, head, queries.clone(), *pair, packed, &mut scores);
            let rows = scores.chunks_exact_mut(row_units).zip(weights.chunks_exact_mut(row_units));
            for ((scores, weights), token) in rows.zip(queries.clone()) {
                let (valid, mut reciprocal) = (self.seen(token), 0.0);
                soften(self.isa, scores, valid, 0, self.scale(), Element::F32, &mut reciprocal);
                accumulate(self.isa, scores, valid, reciprocal, weights);
            }
        }
    }
}
