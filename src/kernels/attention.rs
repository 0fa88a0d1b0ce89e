//! Multi-head attention without ever holding the whole matrix of scores.
//!
//! A task takes a few queries of one head. Their scores against all keys (some 100 KiB for 1,370 tokens) stay in the
//! second-level cache, become weights in place, and are multiplied with the values. Keys and values are packed into
//! panels once per head; the V-V path reads the same packed values as the Q-K path, right after it.

use rayon::prelude::*;

use super::buffer::Scratch;
use super::isa::{Isa, vectorised};
use super::linear::Target;
use super::math::{bf16_chunk, bf16_pair, exp2, larger};
use super::rows::Rows;
use super::tile::{Element, PANEL, Tile, TileKernel, kernels};

/// Tiles of queries in a task.
const TILES: usize = 2;

/// How the tokens of a batch are divided.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AttentionShape {
    /// Sequences.
    pub batch: usize,
    /// Tokens of a sequence.
    pub length: usize,
    /// Heads of a block.
    pub heads: usize,
    /// Tokens of a sequence, counted from the first, whose Q-K result is wanted.
    pub queries: usize,
    /// Whether a token sees only itself and those before it.
    pub causal: bool,
}

/// Which attentions are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paths {
    /// `softmax(q k^T / sqrt(d)) v`
    QueryKey,
    /// `softmax(v v^T / sqrt(d)) v`
    ValueValue,
    /// Both.
    Both,
}

/// Results, `[batch * queries, C]` and `[batch * length, C]`; `None` where not wanted.
#[derive(Debug, Default)]
pub(crate) struct Attended {
    pub query_key: Option<Rows>,
    pub value_value: Option<Rows>,
}

/// Attention of `qkv` (`[batch * length, 3 C]`: queries, keys, values; floats, or bfloat16 if a head is even).
pub(crate) fn attention(isa: Isa, qkv: &Rows, shape: AttentionShape, paths: Paths) -> Attended {
    let width = qkv.columns / 3;
    let queries = shape.queries.min(shape.length);
    let made = |wanted: bool, tokens| wanted.then(|| Rows::new(qkv.element, shape.batch * tokens, width));
    let mut attended = Attended {
        query_key: made(paths != Paths::ValueValue, queries),
        value_value: made(paths != Paths::QueryKey, shape.length),
    };
    let plan = Plan::new(isa, qkv, shape);
    if plan.length == 0 || plan.head == 0 {
        return attended;
    }
    let target = |rows: &mut Option<Rows>| {
        rows.as_mut().map(|r| Target { units: r.units.as_mut_ptr(), stride: r.stride, element: r.element })
    };
    let targets = [target(&mut attended.query_key), target(&mut attended.value_value)];
    let mut packed = Scratch::new(shape.heads * plan.packed());
    for sequence in 0..shape.batch {
        packed[..shape.heads * plan.packed()]
            .par_chunks_exact_mut(plan.packed())
            .enumerate()
            .for_each(|(head, packed)| plan.pack(sequence, head, packed, targets[1].is_some()));
        let at_once = TILES * plan.kernels.len();
        let groups = plan.length.div_ceil(at_once);
        (0..shape.heads * groups).into_par_iter().with_max_len(groups.div_ceil(4).max(1)).for_each(|i| {
            let (head, first) = (i / groups, i % groups * at_once);
            let packed = &packed[head * plan.packed()..][..plan.packed()];
            for (path, (target, tokens)) in targets.iter().zip([queries, plan.length]).enumerate() {
                let queries = first..tokens.min(first + at_once);
                if let Some(target) = target
                    && !queries.is_empty()
                {
                    // SAFETY: the results of these queries of this head are written by this task alone.
                    let target = Target {
                        units: unsafe { target.units.add(sequence * tokens * target.stride) },
                        ..*target
                    };
                    plan.attend(sequence, head, queries, path, packed, target);
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
}

impl<'a> Plan<'a> {
    fn new(isa: Isa, qkv: &'a Rows, shape: AttentionShape) -> Self {
        let per_unit = qkv.element.per_unit();
        let head = qkv.columns / 3 / shape.heads.max(1);
        assert!(
            head * shape.heads * 3 == qkv.columns && shape.batch * shape.length == qkv.rows,
            "tokens of another shape"
        );
        assert!(head.is_multiple_of(per_unit) && qkv.element != Element::Int8, "a head must be whole units");
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
        }
    }

    /// Units of one panel set of keys; of values.
    fn sizes(&self) -> (usize, usize) {
        (self.key_panels * self.depth * PANEL, self.value_panels * self.key_units * PANEL)
    }

    /// Units that a head's keys, values and values as keys take.
    fn packed(&self) -> usize {
        let (keys, values) = self.sizes();
        2 * keys + values
    }

    /// Where a token's queries (0), keys (1) or values (2) of a head begin.
    fn place(&self, sequence: usize, token: usize, part: usize, head: usize) -> usize {
        let width = self.qkv.columns / 3;
        let column = (part * width + head * self.head) / self.qkv.element.per_unit();
        (sequence * self.length + token) * self.qkv.stride + column
    }

    /// The units of a token's part.
    fn units(&self, sequence: usize, token: usize, part: usize, head: usize) -> &[u32] {
        &self.qkv.units[self.place(sequence, token, part, head)..][..self.depth]
    }

    /// Packs a head: keys, values, and values as keys if they are wanted.
    fn pack(&self, sequence: usize, head: usize, packed: &mut [u32], values_as_keys: bool) {
        let (keys, values) = self.sizes();
        let (key_part, rest) = packed.split_at_mut(keys);
        let (value_part, more) = rest.split_at_mut(values);
        self.pack_keys(sequence, head, 1, key_part);
        self.pack_values(sequence, head, value_part);
        if values_as_keys {
            self.pack_keys(sequence, head, 2, more);
        }
    }

    /// `[panels][depth][32 keys]`.
    fn pack_keys(&self, sequence: usize, head: usize, part: usize, packed: &mut [u32]) {
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
                    unit[..count].copy_from_slice(&self.units(sequence, k, 2, head)[first..first + count]);
                    continue;
                }
                // Pairs of neighbouring numbers of two tokens become pairs of the same number of both.
                let even = &self.units(sequence, 2 * k, 2, head)[first / 2..(first + count) / 2];
                let odd = (2 * k + 1 < self.length)
                    .then(|| &self.units(sequence, 2 * k + 1, 2, head)[first / 2..(first + count) / 2]);
                for (i, (pair, even)) in unit.as_chunks_mut::<2>().0.iter_mut().zip(even).enumerate() {
                    let odd = odd.map_or(0, |odd| odd[i]);
                    *pair = [even & 0xFFFF | odd << 16, even >> 16 | odd & 0xFFFF_0000];
                }
            }
        }
    }

    /// Attention of some queries of a head to all keys (path 0) or values (path 1), written to `target`, where the
    /// sequence's results begin.
    fn attend(
        &self,
        sequence: usize,
        head: usize,
        queries: std::ops::Range<usize>,
        path: usize,
        packed: &[u32],
        target: Target,
    ) {
        let (keys, values) = self.sizes();
        let (key_part, rest) = packed.split_at(keys);
        let (value_part, more) = rest.split_at(values);
        let keys = if path == 0 { key_part } else { more };
        let query_part = if path == 0 { 0 } else { 2 };
        let height = self.kernels.len();
        let seen = if self.causal { queries.end } else { self.length };
        let row_units = self.key_panels * PANEL + 16;
        let out_units = self.value_panels * PANEL;
        let mut scores = Scratch::new(TILES * height * row_units);
        let mut sums = Scratch::new(height * out_units);
        for p in 0..seen.div_ceil(PANEL) {
            for (t, first) in queries.clone().step_by(height).enumerate() {
                let count = height.min(queries.end - first);
                let tile = Tile {
                    a: self.qkv.units[self.place(sequence, first, query_part, head)..].as_ptr(),
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
        let scale = (self.head as f32).powf(-0.5) * std::f32::consts::LOG2_E;
        for (t, first) in queries.clone().step_by(height).enumerate() {
            let count = height.min(queries.end - first);
            let weights = &mut scores[t * height * row_units..][..height * row_units];
            let last = if self.causal { first + count } else { self.length };
            let depth = last.div_ceil(self.qkv.element.per_unit());
            let mut shares = [0f32; 16];
            for (r, row) in weights.chunks_exact_mut(row_units).take(count).enumerate() {
                let valid = if self.causal { first + r + 1 } else { self.length };
                soften(self.isa, row, valid, depth, scale, self.qkv.element, &mut shares[r]);
            }
            for p in 0..self.value_panels {
                let tile = Tile {
                    a: weights.as_ptr(),
                    a_stride: row_units,
                    b: value_part[p * self.key_units * PANEL..].as_ptr(),
                    depth,
                    out: sums[p * PANEL..].as_mut_ptr(),
                    out_stride: out_units,
                    fresh: true,
                    ahead: value_part.as_ptr().wrapping_add((p + 1) * self.key_units * PANEL),
                };
                // SAFETY: `count` rows of weights of `depth` units, a panel of at least that depth, room for the sums.
                unsafe { self.kernels[count - 1](&tile) };
            }
            for r in 0..count {
                let column = head * self.head / self.qkv.element.per_unit();
                let row = first + r;
                // SAFETY: `target` has this row, and no other task writes this head's part of it.
                let out = unsafe {
                    std::slice::from_raw_parts_mut(target.units.add(row * target.stride + column), self.depth)
                };
                share(self.isa, &sums[r * out_units..][..self.head], shares[r], target.element, out);
            }
        }
    }
}

vectorised! {
    /// Turns the first `valid` scores of a row into weights that are not divided by their sum yet, in the first
    /// `depth` units of the row, and finds the reciprocal of that sum. What is beyond `valid` becomes zero.
    fn soften(row: &mut [u32], valid: usize, depth: usize, scale: f32, element: Element, reciprocal: &mut f32) {
        let whole = valid / PANEL;
        let mut highest = [f32::NEG_INFINITY; PANEL];
        for chunk in row[..whole * PANEL].as_chunks::<PANEL>().0 {
            for (h, s) in highest.iter_mut().zip(chunk) {
                *h = larger(f32::from_bits(*s), *h);
            }
        }
        let mut top = f32::NEG_INFINITY;
        for s in &row[whole * PANEL..valid] {
            top = larger(f32::from_bits(*s), top);
        }
        for h in highest {
            top = larger(h, top);
        }
        let mut sums = [0f32; PANEL];
        for c in 0..whole {
            weigh::<FMA, BF16>(row, c, PANEL, scale, top, element, &mut sums);
        }
        if whole * PANEL < valid {
            weigh::<FMA, BF16>(row, whole, valid - whole * PANEL, scale, top, element, &mut sums);
        }
        let written = valid.div_ceil(PANEL) * PANEL / element.per_unit();
        if written < depth {
            row[written..depth].fill(0);
        }
        *reciprocal = 1.0 / sums.iter().sum::<f32>();
    }
}

/// Turns a chunk of scores into weights, the first `valid` of them, and adds those to `sums`.
#[inline(always)]
fn weigh<const FMA: bool, const BF16: bool>(
    row: &mut [u32],
    chunk: usize,
    valid: usize,
    scale: f32,
    top: f32,
    element: Element,
    sums: &mut [f32; PANEL],
) {
    // Loops, not `map`: that is a function of its own, compiled without the vector instructions.
    let mut w = [0f32; PANEL];
    for (w, s) in w.iter_mut().zip(&row[chunk * PANEL..][..PANEL]) {
        *w = exp2::<FMA>((f32::from_bits(*s) - top) * scale);
    }
    if valid < PANEL {
        w[valid..].fill(0.0);
    }
    for (s, w) in sums.iter_mut().zip(&w) {
        *s += w;
    }
    if element == Element::F32 {
        for (s, w) in row[chunk * PANEL..][..PANEL].iter_mut().zip(&w) {
            *s = w.to_bits();
        }
    } else {
        // Two scores make one unit: what is written lies at or before what was read.
        if let Some(units) = row[chunk * PANEL / 2..].first_chunk_mut() {
            bf16_chunk::<BF16>(&w, units);
        }
    }
}

vectorised! {
    /// Writes a head's result: the weighted sums, divided by the sum of the weights.
    fn share(sums: &[u32], reciprocal: f32, element: Element, out: &mut [u32]) {
        if element == Element::F32 {
            for (out, s) in out.iter_mut().zip(sums) {
                *out = (f32::from_bits(*s) * reciprocal).to_bits();
            }
        } else {
            for (out, [a, b]) in out.iter_mut().zip(sums.as_chunks::<2>().0) {
                *out = bf16_pair(f32::from_bits(*a) * reciprocal, f32::from_bits(*b) * reciprocal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::linear::decode;
    use crate::kernels::sample;

    /// The definition, in f64.
    fn plain(qkv: &[f32], shape: AttentionShape, width: usize, parts: [usize; 2]) -> Vec<f64> {
        let head = width / shape.heads;
        let at = |s: usize, t: usize, part: usize, c: usize| {
            f64::from(qkv[(s * shape.length + t) * 3 * width + part * width + c])
        };
        let mut out = vec![0.0; shape.batch * shape.length * width];
        for s in 0..shape.batch {
            for h in 0..shape.heads {
                for q in 0..shape.length {
                    let seen = if shape.causal { q + 1 } else { shape.length };
                    let score = |k: usize| -> f64 {
                        let columns = h * head..(h + 1) * head;
                        columns.map(|c| at(s, q, parts[0], c) * at(s, k, parts[1], c)).sum::<f64>()
                            / (head as f64).sqrt()
                    };
                    let weights: Vec<f64> = (0..seen).map(|k| score(k).exp()).collect();
                    let total: f64 = weights.iter().sum();
                    for c in h * head..(h + 1) * head {
                        let sum: f64 = weights.iter().enumerate().map(|(k, w)| w * at(s, k, 2, c)).sum();
                        out[(s * shape.length + q) * width + c] = sum / total;
                    }
                }
            }
        }
        out
    }

    #[test]
    fn both_paths_equal_the_definition() {
        for (batch, length, heads, head) in
            [(1, 1, 1, 2), (2, 5, 2, 4), (1, 33, 3, 6), (1, 70, 2, 64), (2, 101, 1, 40), (1, 15, 2, 72)]
        {
            let width = heads * head;
            let values: Vec<f32> = sample(batch * length * 3 * width, 7).iter().map(|v| v * 2.0).collect();
            for causal in [false, true] {
                let shape = AttentionShape { batch, length, heads, queries: length, causal };
                let exact = [plain(&values, shape, width, [0, 1]), plain(&values, shape, width, [2, 2])];
                for isa in Isa::all() {
                    for (element, tolerance) in [(Element::F32, 3e-6), (Element::Bf16, 3e-2)] {
                        let qkv = Rows::from_floats(isa, &values, 3 * width, 3 * width, element);
                        let found = attention(isa, &qkv, shape, Paths::Both);
                        let found = [found.query_key, found.value_value].map(|r| decode(&r.unwrap()));
                        for (found, exact) in found.iter().zip(&exact) {
                            for (found, exact) in found.iter().zip(exact) {
                                let error = (f64::from(*found) - exact).abs();
                                assert!(error < tolerance, "{isa:?} {element:?} {shape:?} {head}: {error}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn only_the_first_queries() {
        let values = sample(2 * 37 * 3 * 16, 7);
        let qkv = Rows::from_floats(Isa::best(), &values, 48, 48, Element::F32);
        let shape = AttentionShape { batch: 2, length: 37, heads: 2, queries: 37, causal: false };
        let all = decode(&attention(Isa::best(), &qkv, shape, Paths::Both).query_key.unwrap());
        let shape = AttentionShape { queries: 1, ..shape };
        let found = attention(Isa::best(), &qkv, shape, Paths::Both);
        assert_eq!(decode(&found.query_key.unwrap()), [&all[..16], &all[37 * 16..38 * 16]].concat());
        assert_eq!(found.value_value.unwrap().rows, 74);
    }

    #[test]
    fn large_scores_do_not_overflow() {
        let values: Vec<f32> = sample(40 * 3 * 8, 7).iter().map(|v| v * 1e5).collect();
        let shape = AttentionShape { batch: 1, length: 40, heads: 1, queries: 40, causal: false };
        for isa in Isa::all() {
            let qkv = Rows::from_floats(isa, &values, 24, 24, Element::F32);
            let found = attention(isa, &qkv, shape, Paths::Both);
            assert!(found.value_value.is_some_and(|rows| decode(&rows).iter().all(|v| v.abs() <= 1e5)));
            let mut spoiled = values.clone();
            spoiled[9] = f32::NAN;
            let qkv = Rows::from_floats(isa, &spoiled, 24, 24, Element::F32);
            let found = attention(isa, &qkv, shape, Paths::QueryKey);
            assert!(
                found.query_key.is_some_and(|rows| decode(&rows).iter().any(|v| v.is_nan())),
                "{isa:?} hides it"
            );
        }
    }
}
