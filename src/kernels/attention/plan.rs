//! One head of one sequence: its panels, and the attention of a few queries.

use std::ops::Range;

use super::super::buffer::Scratch;
use super::super::isa::Isa;
use super::super::linear::Target;
use super::super::rows::Rows;
use super::super::tile::{Element, PANEL, Tile, TileKernel, kernels};
use super::softmax::{accumulate, round, share, soften};
use super::{Attention, AttentionShape, Projected};

/// Tiles of queries in a task.
const TILES: usize = 2;

/// Sizes and offsets, computed once.
pub(super) struct Plan<'a> {
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
    /// Number of panels for all keys, and for the values of a head.
    key_panels: usize,
    value_panels: usize,
    /// Whether queries, keys and values serve as keys.
    as_keys: [bool; 3],
}

/// Some queries of a head, and the panels of that head.
pub(super) struct Task<'p> {
    pub sequence: usize,
    pub head: usize,
    pub queries: Range<usize>,
    pub packed: &'p [u32],
}

impl<'a> Plan<'a> {
    pub fn new(isa: Isa, qkv: &'a Rows, shape: AttentionShape, wanted: &[(Attention, usize)]) -> Self {
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

    /// Whether there is nothing to compute.
    pub fn is_empty(&self) -> bool {
        self.length == 0 || self.head == 0
    }

    /// Queries of a task.
    pub fn at_once(&self) -> usize {
        TILES * self.kernels.len()
    }

    /// Units of a head's values, and of one of its parts packed as keys.
    fn sizes(&self) -> (usize, usize) {
        (self.value_panels * self.key_units * PANEL, self.key_panels * self.depth * PANEL)
    }

    /// Units of a head's panels: its values, then its parts that serve as keys.
    pub fn packed(&self) -> usize {
        let (values, keys) = self.sizes();
        values + self.as_keys.iter().filter(|used| **used).count() * keys
    }

    /// The panels of a part that serves as keys.
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

    /// Packs a head: its values, then its parts that serve as keys.
    pub fn pack(&self, sequence: usize, head: usize, packed: &mut [u32]) {
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
        let values = |token| self.units(sequence, token, Projected::Value, head);
        for (p, panel) in packed.chunks_exact_mut(self.key_units * PANEL).enumerate() {
            let first = p * PANEL;
            let count = PANEL.min(self.head - first);
            if count < PANEL {
                panel.fill(0);
            }
            for (k, unit) in panel.chunks_exact_mut(PANEL).enumerate() {
                if self.qkv.element == Element::F32 {
                    unit[..count].copy_from_slice(&values(k)[first..first + count]);
                    continue;
                }
                // Pairs of neighbouring numbers of two tokens become pairs of the same number of both.
                let numbers = first / 2..(first + count) / 2;
                let even = &values(2 * k)[numbers.clone()];
                let odd = (2 * k + 1 < self.length).then(|| &values(2 * k + 1)[numbers]);
                for (i, (pair, even)) in unit.as_chunks_mut::<2>().0.iter_mut().zip(even).enumerate() {
                    let odd = odd.map_or(0, |odd| odd[i]);
                    *pair = [even & 0xFFFF | odd << 16, even >> 16 | odd & 0xFFFF_0000];
                }
            }
        }
    }

    /// One attention of a task's queries, written to `target`, where the results of the sequence begin.
    pub fn attend(&self, task: &Task<'_>, attention: Attention, target: Target) {
        let result = |row: usize| {
            let column = task.head * self.head / self.qkv.element.per_unit();
            // SAFETY: `target` has this row, and no other task writes this head's part of it.
            unsafe {
                std::slice::from_raw_parts_mut(target.units.add(row * target.stride + column), self.depth)
            }
        };
        if attention == Attention::OWN {
            for row in task.queries.clone() {
                result(row).copy_from_slice(self.units(task.sequence, row, Projected::Value, task.head));
            }
            return;
        }
        let (height, row_units, element) = (self.kernels.len(), self.row_units(), self.qkv.element);
        let out_units = self.value_panels * PANEL;
        let mut weights = Scratch::new(TILES * height * row_units);
        let mut sums = Scratch::new(height * out_units);
        let several = match *attention.pairs() {
            [pair] => {
                self.score(task, pair, &mut weights);
                false
            }
            ref pairs => {
                self.sum(task, pairs, &mut weights);
                true
            }
        };
        let tiles = task.queries.clone().step_by(height).zip(weights.chunks_exact_mut(height * row_units));
        for (first, weights) in tiles {
            let count = height.min(task.queries.end - first);
            let depth = self.seen(first + count - 1).div_ceil(element.per_unit());
            let mut shares = [1f32; 16];
            let rows = weights.chunks_exact_mut(row_units).zip(first..first + count);
            for ((row, token), share) in rows.zip(&mut shares) {
                if several {
                    round(self.isa, row, depth, element);
                } else {
                    soften(self.isa, row, self.seen(token), depth, self.scale(), element, share);
                }
            }
            for p in 0..self.value_panels {
                let tile = Tile {
                    a: weights.as_ptr(),
                    a_stride: row_units,
                    b: task.packed[p * self.key_units * PANEL..].as_ptr(),
                    depth,
                    out: sums[p * PANEL..].as_mut_ptr(),
                    out_stride: out_units,
                    fresh: true,
                    ahead: task.packed.as_ptr().wrapping_add((p + 1) * self.key_units * PANEL),
                };
                // SAFETY: `count` rows of weights of `depth` units, a panel of at least that depth, room for the sums.
                unsafe { self.kernels[count - 1](&tile) };
            }
            let rows = sums.chunks_exact(out_units).zip(first..first + count);
            for ((sums, token), reciprocal) in rows.zip(shares) {
                share(self.isa, &sums[..self.head], reciprocal, target.element, result(token));
            }
        }
    }

    /// Scores of a task's queries against all keys that any of them sees, in rows of floats.
    fn score(&self, task: &Task<'_>, (a, b): (Projected, Projected), scores: &mut [u32]) {
        let (height, row_units) = (self.kernels.len(), self.row_units());
        let (keys, queries) = (self.keys(task.packed, b), &task.queries);
        for p in 0..self.seen(queries.end - 1).div_ceil(PANEL) {
            for (t, first) in queries.clone().step_by(height).enumerate() {
                let tile = Tile {
                    a: self.qkv.units[self.place(task.sequence, first, a, task.head)..].as_ptr(),
                    a_stride: self.qkv.stride,
                    b: keys[p * self.depth * PANEL..].as_ptr(),
                    depth: self.depth,
                    out: scores[t * height * row_units + p * PANEL..].as_mut_ptr(),
                    out_stride: row_units,
                    fresh: true,
                    ahead: keys.as_ptr().wrapping_add((p + 1) * self.depth * PANEL),
                };
                let count = height.min(queries.end - first);
                // SAFETY: `count` tokens from `first` on exist, and `scores` has a row with room for all panels for each.
                unsafe { self.kernels[count - 1](&tile) };
            }
        }
    }

    /// The sum of several softmaxes, in rows of floats that are zero beyond the keys that a token sees.
    ///
    /// Weights are summed, not results: one addition for each key costs less than its product with a head's values.
    fn sum(&self, task: &Task<'_>, pairs: &[(Projected, Projected)], weights: &mut [u32]) {
        let row_units = self.row_units();
        weights[..task.queries.len() * row_units].fill(0);
        let mut scores = Scratch::new(weights.len());
        for pair in pairs {
            self.score(task, *pair, &mut scores);
            let rows = scores.chunks_exact_mut(row_units).zip(weights.chunks_exact_mut(row_units));
            for ((scores, weights), token) in rows.zip(task.queries.clone()) {
                let (seen, mut reciprocal) = (self.seen(token), 0.0);
                soften(self.isa, scores, seen, 0, self.scale(), Element::F32, &mut reciprocal);
                accumulate(self.isa, scores, seen, reciprocal, weights);
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

    /// The factor that turns scores into exponents of 2.
    fn scale(&self) -> f32 {
        (self.head as f32).powf(-0.5) * std::f32::consts::LOG2_E
    }
}
