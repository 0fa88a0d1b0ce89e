//! The transform of [`super::idct`] for two blocks at once: 16-bit numbers, the first block in the lower half of each
//! register. Results are equal unless coefficients are far out of range.

use std::arch::x86_64::*;

use super::frame::Block;
use super::idct::{FACTOR_BITS, PASS_BITS};

/// Turns a row of blocks into 8 rows of samples in `out`, whose rows are `stride` apart.
#[target_feature(enable = "avx2")]
pub(super) fn row(blocks: &[Block], steps: &Block, out: &mut [u8], stride: usize) {
    for (i, pair) in blocks.chunks(2).enumerate() {
        let rows = both(&pair[0], pair.get(1).unwrap_or(&pair[0]), steps);
        let width = 8 * pair.len();
        for (out, samples) in out.chunks_mut(stride).zip(&rows) {
            if width == 16 {
                out[16 * i..16 * i + 16].copy_from_slice(samples);
            } else {
                out[16 * i..16 * i + 8].copy_from_slice(&samples[..8]);
            }
        }
    }
}

#[target_feature(enable = "avx2")]
fn both(first: &Block, second: &Block, steps: &Block) -> [[u8; 16]; 8] {
    let mut rows = [_mm256_setzero_si256(); 8];
    let (first, second, steps) =
        (first.as_chunks::<8>().0, second.as_chunks::<8>().0, steps.as_chunks::<8>().0);
    for (i, row) in rows.iter_mut().enumerate() {
        *row = _mm256_mullo_epi16(load(&first[i], &second[i]), load(&steps[i], &steps[i]));
    }
    let rows = transposed(pass::<{ (FACTOR_BITS - PASS_BITS) as i32 }>(rows));
    let rows = transposed(pass::<{ (FACTOR_BITS + PASS_BITS + 3) as i32 }>(rows));
    let mut samples = [[0; 16]; 8];
    for (rows, samples) in rows.as_chunks::<2>().0.iter().zip(samples.as_chunks_mut::<2>().0) {
        let bytes = _mm256_xor_si256(_mm256_packs_epi16(rows[0], rows[1]), _mm256_set1_epi8(-128));
        let ordered = _mm256_permute4x64_epi64::<0b11_01_10_00>(bytes);
        store(ordered, samples);
    }
    samples
}

#[target_feature(enable = "avx2")]
fn load(lower: &[i16; 8], upper: &[i16; 8]) -> __m256i {
    // SAFETY: both are 16 bytes; the loads need no alignment.
    let halves = unsafe { (_mm_loadu_si128(lower.as_ptr().cast()), _mm_loadu_si128(upper.as_ptr().cast())) };
    _mm256_set_m128i(halves.1, halves.0)
}

#[target_feature(enable = "avx2")]
fn store(value: __m256i, out: &mut [[u8; 16]; 2]) {
    // SAFETY: `out` is 32 bytes; the store needs no alignment.
    unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), value) };
}

/// 32-bit numbers of the lower and the upper four columns of both blocks.
type Wide = [__m256i; 2];

/// `a * x + b * y`.
#[target_feature(enable = "avx2")]
fn weigh(pairs: Wide, a: i16, b: i16) -> Wide {
    let factors = _mm256_set1_epi32(i32::from(b) << 16 | i32::from(a as u16));
    [_mm256_madd_epi16(pairs[0], factors), _mm256_madd_epi16(pairs[1], factors)]
}

#[target_feature(enable = "avx2")]
fn interleaved(x: __m256i, y: __m256i) -> Wide {
    [_mm256_unpacklo_epi16(x, y), _mm256_unpackhi_epi16(x, y)]
}

#[target_feature(enable = "avx2")]
fn add(a: Wide, b: Wide) -> Wide {
    [_mm256_add_epi32(a[0], b[0]), _mm256_add_epi32(a[1], b[1])]
}

#[target_feature(enable = "avx2")]
fn subtract(a: Wide, b: Wide) -> Wide {
    [_mm256_sub_epi32(a[0], b[0]), _mm256_sub_epi32(a[1], b[1])]
}

#[target_feature(enable = "avx2")]
fn narrowed<const BITS: i32>(value: Wide) -> __m256i {
    let half = _mm256_set1_epi32(1 << (BITS - 1));
    let [lower, upper] = add(value, [half, half]);
    _mm256_packs_epi32(_mm256_srai_epi32::<BITS>(lower), _mm256_srai_epi32::<BITS>(upper))
}

/// As `idct::pass`; factors of the same pair of rows are added up.
#[target_feature(enable = "avx2")]
fn pass<const BITS: i32>([r0, r1, r2, r3, r4, r5, r6, r7]: [__m256i; 8]) -> [__m256i; 8] {
    let one = 1 << FACTOR_BITS;
    let (r04, r26) = (interleaved(r0, r4), interleaved(r2, r6));
    let (e0, e1) = (weigh(r04, one, one), weigh(r04, one, -one));
    let (e2, e3) = (weigh(r26, 4433, 4433 - 15137), weigh(r26, 4433 + 6270, 4433));
    let even = [add(e0, e3), add(e1, e2), subtract(e1, e2), subtract(e0, e3)];
    let sums = interleaved(_mm256_add_epi16(r7, r3), _mm256_add_epi16(r5, r1));
    let (a, b) = (weigh(sums, 9633 - 16069, 9633), weigh(sums, 9633, 9633 - 3196));
    let (r17, r35) = (interleaved(r1, r7), interleaved(r3, r5));
    let odd = [
        add(weigh(r17, 12299 - 7373, -7373), b),
        add(weigh(r35, 25172 - 20995, -20995), a),
        add(weigh(r35, -20995, 16819 - 20995), b),
        add(weigh(r17, -7373, 2446 - 7373), a),
    ];
    let mut out = [r0; 8];
    for i in 0..4 {
        out[i] = narrowed::<BITS>(add(even[i], odd[i]));
        out[7 - i] = narrowed::<BITS>(subtract(even[i], odd[i]));
    }
    out
}

/// Rows and columns of both blocks exchanged.
#[target_feature(enable = "avx2")]
fn transposed([r0, r1, r2, r3, r4, r5, r6, r7]: [__m256i; 8]) -> [__m256i; 8] {
    // Three times every other number of a row and of the row four below it.
    let merge = |[r0, r1, r2, r3, r4, r5, r6, r7]: [__m256i; 8]| {
        let ([a0, a1], [a2, a3]) = (interleaved(r0, r4), interleaved(r1, r5));
        let ([a4, a5], [a6, a7]) = (interleaved(r2, r6), interleaved(r3, r7));
        [a0, a1, a2, a3, a4, a5, a6, a7]
    };
    merge(merge(merge([r0, r1, r2, r3, r4, r5, r6, r7])))
}
