//! Elementary functions without branches, so that the compiler can vectorise loops over them.
//!
//! The coefficients were fitted for this program (Chebyshev points, errors weighted until level).

/// `a * b + c`, fused if that is one instruction.
#[inline(always)]
pub(super) fn mul_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// The larger number; the second if one is NaN. One instruction, unlike `f32::max`.
#[inline(always)]
pub(super) fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// `2^x` for `x <= 0`; below -126 it gives a number of about 1e-38. Relative error below 2e-7.
#[inline(always)]
pub(super) fn exp2<const FMA: bool>(x: f32) -> f32 {
    // Adding 1.5 * 2^23 leaves the rounded integer in the low bits.
    const MAGIC: f32 = 12_582_912.0;
    // NaN stays NaN.
    let x = larger(-126.0, x);
    let shifted = x + MAGIC;
    let r = x - (shifted - MAGIC);
    #[expect(clippy::approx_constant, reason = "a fitted coefficient that happens to be near one")]
    const LINEAR: f32 = 0.693_147;
    let mut p = 0.001_326_465_6;
    p = mul_add::<FMA>(p, r, 0.009_671_52);
    p = mul_add::<FMA>(p, r, 0.055_507_34);
    p = mul_add::<FMA>(p, r, 0.240_222_42);
    p = mul_add::<FMA>(p, r, LINEAR);
    p = mul_add::<FMA>(p, r, 1.0);
    f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23))
}

/// `x * Phi(x)` with the exact normal distribution. Absolute error below `1e-7 + 2e-7 |x|`.
#[inline(always)]
pub(super) fn gelu<const FMA: bool>(x: f32) -> f32 {
    // Phi(c) = 0.5 + c P(c^2) / Q(c^2); beyond 5.6 it is 0 or 1 to the last bit.
    let c = larger(x, -5.6);
    let c = if c < 5.6 { c } else { 5.6 };
    let u = c * c;
    let mut p = 2.214_765_6e-8;
    p = mul_add::<FMA>(p, u, 6.356_036e-6);
    p = mul_add::<FMA>(p, u, 0.000_173_803_11);
    p = mul_add::<FMA>(p, u, 0.004_706_965);
    p = mul_add::<FMA>(p, u, 0.034_371_603);
    p = mul_add::<FMA>(p, u, 0.398_942_23);
    let mut q = 1.180_244_6e-6;
    q = mul_add::<FMA>(q, u, 7.508_583e-5);
    q = mul_add::<FMA>(q, u, 0.001_912_707_8);
    q = mul_add::<FMA>(q, u, 0.028_937_463);
    q = mul_add::<FMA>(q, u, 0.252_822_55);
    q = mul_add::<FMA>(q, u, 1.0);
    x * mul_add::<FMA>(c, p / q, 0.5)
}

/// `x sigmoid(1.702 x)`. Relative error below 3e-6, except for tiny results.
#[inline(always)]
pub(super) fn quick_gelu<const FMA: bool>(x: f32) -> f32 {
    // With e = 2^-|y|, the sigmoid of y ln 2 is 1 / (1 + e), or e / (1 + e) for negative y.
    let y = x * (1.702 * std::f32::consts::LOG2_E);
    let e = exp2::<FMA>(-y.abs());
    let above = if y < 0.0 { e } else { 1.0 };
    x * (above / (1.0 + e))
}

/// The nearest bfloat16, ties to even, as the upper half of a 32-bit number. Finite numbers only.
#[inline(always)]
pub(super) fn bf16_bits(x: f32) -> u32 {
    let bits = x.to_bits();
    bits.wrapping_add(0x7FFF + ((bits >> 16) & 1)) & 0xFFFF_0000
}

/// Two numbers as bfloat16 in one unit, the first in the lower half.
#[inline(always)]
pub(super) fn bf16_pair(first: f32, second: f32) -> u32 {
    bf16_bits(second) | (bf16_bits(first) >> 16)
}

/// Rounds 32 numbers to bfloat16. `BF16` uses one instruction, which the processor must support.
#[inline(always)]
pub(super) fn bf16_chunk<const BF16: bool>(values: &[f32; 32], out: &mut [u32; 16]) {
    #[cfg(target_arch = "x86_64")]
    if BF16 {
        // SAFETY: guaranteed by the caller.
        unsafe { native_bf16(values, out) };
        return;
    }
    for (out, [first, second]) in out.iter_mut().zip(values.as_chunks::<2>().0) {
        *out = bf16_pair(*first, *second);
    }
}

/// # Safety
/// The processor must have AVX512-BF16.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bf16")]
#[inline]
unsafe fn native_bf16(values: &[f32; 32], out: &mut [u32; 16]) {
    use std::arch::x86_64::{__m512bh, __m512i, _mm512_cvtne2ps_pbh, _mm512_loadu_ps, _mm512_storeu_si512};
    // SAFETY: 32 floats and 16 units are two and one registers; both register types are plain data of 512 bits.
    unsafe {
        let both =
            _mm512_cvtne2ps_pbh(_mm512_loadu_ps(values[16..].as_ptr()), _mm512_loadu_ps(values.as_ptr()));
        _mm512_storeu_si512(out.as_mut_ptr().cast(), std::mem::transmute::<__m512bh, __m512i>(both));
    }
}

/// The two bfloat16 numbers of a unit.
#[inline(always)]
pub(super) fn from_bf16_pair(unit: u32) -> (f32, f32) {
    (f32::from_bits(unit << 16), f32::from_bits(unit & 0xFFFF_0000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two() {
        for i in 0..=400_000 {
            let x = -(i as f32) * 3e-4;
            let (found, exact) = (f64::from(exp2::<true>(x)), f64::from(x).exp2());
            assert!((found / exact - 1.0).abs() < 2e-7, "{x}: {found} {exact}");
        }
        assert!(exp2::<true>(f32::NEG_INFINITY) < 2e-38);
        assert_eq!(exp2::<false>(0.0), 1.0);
    }

    /// The normal distribution by its continued fraction and series, in f64.
    fn phi(x: f64) -> f64 {
        let z = x.abs();
        let upper = if z < 2.5 {
            let (mut term, mut sum, mut n) = (z, z, 1.0);
            while term.abs() > 1e-18 {
                term *= -z * z / (2.0 * n);
                sum += term / (2.0 * n + 1.0);
                n += 1.0;
            }
            0.5 - sum / (2.0 * std::f64::consts::PI).sqrt()
        } else {
            let fraction = (1..200).rev().fold(0.0, |f, k| f64::from(k) / (z + f));
            (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() / (z + fraction)
        };
        if x < 0.0 { upper } else { 1.0 - upper }
    }

    #[test]
    fn activations() {
        for i in -100_000..=100_000 {
            let x = i as f32 * 1.1e-4;
            let exact = f64::from(x) * phi(f64::from(x));
            let error = (f64::from(gelu::<true>(x)) - exact).abs();
            assert!(error < 1e-7 + 2e-7 * f64::from(x).abs(), "{x}: {error}");
            let exact = f64::from(x) / (1.0 + (-1.702 * f64::from(x)).exp());
            let error = (f64::from(quick_gelu::<true>(x)) - exact).abs();
            assert!(error <= 3e-6 * exact.abs(), "{x}: {error}");
        }
    }

    #[test]
    fn bfloat16_rounds_to_the_nearest() {
        for i in 0..100_000u32 {
            let x = f32::from_bits(0x3F00_0000 + i * 977);
            assert_eq!(bf16_bits(x) >> 16, u32::from(half::bf16::from_f32(x).to_bits()), "{x}");
            assert_eq!(from_bf16_pair(bf16_pair(x, -x)).0, half::bf16::from_f32(x).to_f32());
        }
    }
}
