//! Coefficients to samples, as libjpeg's accurate integer transform computes them.

use super::frame::Block;

/// Fractional bits of the factors.
pub(super) const FACTOR_BITS: u32 = 13;
/// Fractional bits kept between the two passes.
pub(super) const PASS_BITS: u32 = 2;

/// Eight numbers that are treated alike.
type Lanes = [i32; 8];

/// Turns a row of blocks into 8 rows of samples in `out`, whose rows are `stride` apart.
pub(super) fn row(blocks: &[Block], steps: &Block, out: &mut [u8], stride: usize) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has these instructions.
        unsafe { super::idct_avx2::row(blocks, steps, out, stride) };
        return;
    }
    row_plain(blocks, steps, out, stride);
}

fn row_plain(blocks: &[Block], steps: &Block, out: &mut [u8], stride: usize) {
    for (i, block) in blocks.iter().enumerate() {
        let samples = if block[1..].iter().fold(0, |any, &c| any | c) == 0 {
            let value = i32::from(block[0]).wrapping_mul(i32::from(steps[0] as u16));
            let sample = rounded(value.wrapping_shl(PASS_BITS), PASS_BITS + 3).wrapping_add(128);
            [[sample.clamp(0, 255) as u8; 8]; 8]
        } else {
            block_samples(block, steps)
        };
        for (row, samples) in out.chunks_mut(stride).zip(&samples) {
            row[8 * i..8 * i + 8].copy_from_slice(samples);
        }
    }
}

#[inline(always)]
fn block_samples(block: &Block, steps: &Block) -> [[u8; 8]; 8] {
    let mut rows = [[0i32; 8]; 8];
    for (i, row) in rows.iter_mut().enumerate() {
        for (j, value) in row.iter_mut().enumerate() {
            *value = i32::from(block[8 * i + j]).wrapping_mul(i32::from(steps[8 * i + j] as u16));
        }
    }
    let rows = transposed(&pass(&rows, FACTOR_BITS - PASS_BITS));
    let rows = transposed(&pass(&rows, FACTOR_BITS + PASS_BITS + 3));
    rows.map(|row| row.map(|v| v.wrapping_add(128).clamp(0, 255) as u8))
}

#[inline(always)]
fn transposed(rows: &[Lanes; 8]) -> [Lanes; 8] {
    let mut out = [[0; 8]; 8];
    for (i, row) in rows.iter().enumerate() {
        for (j, &value) in row.iter().enumerate() {
            out[j][i] = value;
        }
    }
    out
}

#[inline(always)]
fn rounded(value: i32, bits: u32) -> i32 {
    value.wrapping_add(1 << (bits - 1)) >> bits
}

#[inline(always)]
fn add(a: Lanes, b: Lanes) -> Lanes {
    let mut out = a;
    out.iter_mut().zip(b).for_each(|(a, b)| *a = a.wrapping_add(b));
    out
}

#[inline(always)]
fn subtract(a: Lanes, b: Lanes) -> Lanes {
    let mut out = a;
    out.iter_mut().zip(b).for_each(|(a, b)| *a = a.wrapping_sub(b));
    out
}

#[inline(always)]
fn times(a: Lanes, factor: i32) -> Lanes {
    a.map(|a| a.wrapping_mul(factor))
}

/// One dimension of the transform over eight columns, scaled down by `bits` (Loeffler, Ligtenberg and Moschytz 1989).
/// Factors are scaled by 2^13.
#[inline(always)]
fn pass(rows: &[Lanes; 8], bits: u32) -> [Lanes; 8] {
    let [r0, r1, r2, r3, r4, r5, r6, r7] = *rows;
    // Even rows.
    let common = times(add(r2, r6), 4433);
    let (e2, e3) = (add(common, times(r6, -15137)), add(common, times(r2, 6270)));
    let e0 = add(r0, r4).map(|v| v.wrapping_shl(FACTOR_BITS));
    let e1 = subtract(r0, r4).map(|v| v.wrapping_shl(FACTOR_BITS));
    let even = [add(e0, e3), add(e1, e2), subtract(e1, e2), subtract(e0, e3)];
    // Odd rows.
    let (a, b) = (add(r7, r3), add(r5, r1));
    let common = times(add(a, b), 9633);
    let (a, b) = (add(times(a, -16069), common), add(times(b, -3196), common));
    let (c, d) = (times(add(r7, r1), -7373), times(add(r5, r3), -20995));
    let odd = [
        add(add(times(r1, 12299), c), b),
        add(add(times(r3, 25172), d), a),
        add(add(times(r5, 16819), d), b),
        add(add(times(r7, 2446), c), a),
    ];
    let down = |v: Lanes| v.map(|v| rounded(v, bits));
    let mut out = [[0; 8]; 8];
    for i in 0..4 {
        out[i] = down(add(even[i], odd[i]));
        out[7 - i] = down(subtract(even[i], odd[i]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_processors_compute_the_same() {
        let mut seed = 1u32;
        let mut next = |spread: i32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((seed >> 16) as i32 % (2 * spread + 1) - spread) as i16
        };
        let steps: Block = std::array::from_fn(|i| 1 + (i / 4) as i16);
        let mut blocks = [[0; 64]; 35];
        for (i, block) in blocks.iter_mut().enumerate() {
            // Blocks of every number of coefficients.
            block[..=2 * i.min(31)].iter_mut().for_each(|c| *c = next(60));
        }
        let width = 8 * blocks.len();
        let (mut quick, mut plain) = (vec![0; 8 * width], vec![0; 8 * width]);
        row(&blocks, &steps, &mut quick, width);
        row_plain(&blocks, &steps, &mut plain, width);
        assert_eq!(quick, plain);
        // A first coefficient alone is eight times the distance from grey.
        let mut flat = [0; 64];
        flat[0] = -80;
        row(&[flat], &steps, &mut quick[..64], 8);
        assert_eq!(quick[..64], [118; 64]);
    }
}
