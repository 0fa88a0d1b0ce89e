//! From scores to weights, and from weighted sums to results.

use super::super::isa::vectorised;
use super::super::math::{bf16_chunk, bf16_pair, exp2, larger, mul_add};
use super::super::tile::{Element, PANEL};

vectorised! {
    /// Turns the first `valid` scores of a row into weights that are not divided by their sum yet, in the first
    /// `depth` units of the row, and finds the reciprocal of that sum. The units beyond `valid` become zero.
    pub(super) fn soften(row: &mut [u32], valid: usize, depth: usize, scale: f32, element: Element, reciprocal: &mut f32) {
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
        // Two scores make one unit, so a write never overtakes a read.
        if let Some(units) = row[chunk * PANEL / 2..].first_chunk_mut() {
            bf16_chunk::<BF16>(&w, units);
        }
    }
}

vectorised! {
    /// Adds the first `valid` weights of a row, multiplied with `reciprocal`, to `sum`.
    pub(super) fn accumulate(weights: &[u32], valid: usize, reciprocal: f32, sum: &mut [u32]) {
        for (sum, w) in sum.iter_mut().zip(&weights[..valid]) {
            *sum = mul_add::<FMA>(f32::from_bits(*w), reciprocal, f32::from_bits(*sum)).to_bits();
        }
    }
}

vectorised! {
    /// Rounds a row of 32-bit weights, in place, to `depth` units of `element`.
    pub(super) fn round(row: &mut [u32], depth: usize, element: Element) {
        if element == Element::F32 {
            return;
        }
        for chunk in 0..(depth * element.per_unit()).div_ceil(PANEL) {
            let mut w = [0f32; PANEL];
            for (w, s) in w.iter_mut().zip(&row[chunk * PANEL..][..PANEL]) {
                *w = f32::from_bits(*s);
            }
            if let Some(units) = row[chunk * PANEL / 2..].first_chunk_mut() {
                bf16_chunk::<BF16>(&w, units);
            }
        }
    }
}

vectorised! {
    /// Writes a head's result: the weighted sums, divided by the sum of the weights.
    pub(super) fn share(sums: &[u32], reciprocal: f32, element: Element, out: &mut [u32]) {
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
