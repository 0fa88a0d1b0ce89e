//! The innermost product: a few rows times one panel of 32 columns, with all sums in registers.
//!
//! Both factors consist of 32-bit units. A unit is one float, two bfloat16 or four 8-bit integers:
//! consecutive inputs of one row or one column. Rows are `stride` units apart; a panel stores, for each unit
//! of depth, the units of its 32 columns. All instruction sets share this layout, so packed weights do not
//! depend on them.

use super::isa::Isa;
use super::math::{from_bf16_pair, mul_add};

/// Columns of a panel.
pub(super) const PANEL: usize = 32;

/// The content of a 32-bit unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Element {
    /// One 32-bit float.
    F32,
    /// Two bfloat16 numbers, the first in the lower half. Products are summed as 32-bit floats.
    Bf16,
    /// Four 8-bit integers, the first in the lowest byte: unsigned (shifted by 128) in rows, signed in panels.
    /// Products are summed as 32-bit integers.
    Int8,
}

impl Element {
    /// Numbers in one unit.
    pub fn per_unit(self) -> usize {
        match self {
            Self::F32 => 1,
            Self::Bf16 => 2,
            Self::Int8 => 4,
        }
    }
}

/// One product.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    /// The first unit of the first row.
    pub a: *const u32,
    /// Units from one row to the next.
    pub a_stride: usize,
    /// The panel: `depth * 32` units at a multiple of 64 bytes.
    pub b: *const u32,
    /// Units to multiply.
    pub depth: usize,
    /// The first of 32 sums of the first row: floats, or integers for [`Element::Int8`].
    pub out: *mut u32,
    /// Sums from one row to the next.
    pub out_stride: usize,
    /// Whether the sums start at zero instead of at the values in `out`.
    pub fresh: bool,
    /// Address of the data that will be read next: prefetched, but not read here, a quarter of a cache line
    /// per unit of depth.
    pub ahead: *const u32,
}

/// Computes a [`Tile`] of a fixed number of rows.
///
/// # Safety
/// All pointers of the tile must be valid for its sizes, and the processor must support the instructions.
pub(super) type TileKernel = unsafe fn(&Tile);

/// The kernels for 1 row, 2 rows, and so on.
pub(super) fn kernels(isa: Isa, element: Element) -> &'static [TileKernel] {
    match (isa, element) {
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, Element::F32) => &avx512::F32,
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, Element::Bf16) if isa.has_bf16() => &avx512::BF16,
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, Element::Int8) if isa.has_int8() => &avx512::INT8,
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, Element::F32) => &AVX2_F32,
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512 | Isa::Avx2, Element::Bf16) => &AVX2_BF16,
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512 | Isa::Avx2, Element::Int8) => &AVX2_INT8,
        (_, Element::F32) => &PORTABLE_F32,
        (_, Element::Bf16) => &PORTABLE_BF16,
        (_, Element::Int8) => &PORTABLE_INT8,
    }
}

/// Adds the products of two units to a sum.
trait Products {
    type Sum: Copy + Default;
    fn add<const FMA: bool>(sum: Self::Sum, a: u32, b: u32) -> Self::Sum;
}

struct F32;
impl Products for F32 {
    type Sum = f32;
    #[inline(always)]
    fn add<const FMA: bool>(sum: f32, a: u32, b: u32) -> f32 {
        mul_add::<FMA>(f32::from_bits(a), f32::from_bits(b), sum)
    }
}

struct Bf16;
impl Products for Bf16 {
    type Sum = f32;
    #[inline(always)]
    fn add<const FMA: bool>(sum: f32, a: u32, b: u32) -> f32 {
        let ((a0, a1), (b0, b1)) = (from_bf16_pair(a), from_bf16_pair(b));
        mul_add::<FMA>(a0, b0, mul_add::<FMA>(a1, b1, sum))
    }
}

struct Int8;
impl Products for Int8 {
    type Sum = i32;
    #[inline(always)]
    fn add<const FMA: bool>(sum: i32, a: u32, b: u32) -> i32 {
        let (a, b) = (a.to_le_bytes(), b.to_le_bytes());
        (0..4).fold(sum, |sum, i| sum.wrapping_add(i32::from(a[i]) * i32::from(b[i] as i8)))
    }
}

/// Half a panel at a time, so that the sums of 6 rows fit 16 registers of 8 floats.
const COLUMNS: usize = 16;

/// # Safety
/// The pointers of `t` are valid for `R` rows.
#[inline(always)]
unsafe fn portable<const R: usize, const FMA: bool, P: Products>(t: &Tile) {
    for start in (0..PANEL).step_by(COLUMNS) {
        let mut sums = [[P::Sum::default(); COLUMNS]; R];
        // SAFETY: guaranteed by the caller: `depth` units in each row, `depth * 32` in the panel, 32 sums per
        // row; a sum has 32 bits, as a unit.
        unsafe {
            if !t.fresh {
                for (r, row) in sums.iter_mut().enumerate() {
                    *row = t.out.add(r * t.out_stride + start).cast::<[P::Sum; COLUMNS]>().read_unaligned();
                }
            }
            for k in 0..t.depth {
                let b = t.b.add(k * PANEL + start).cast::<[u32; COLUMNS]>().read();
                for (r, row) in sums.iter_mut().enumerate() {
                    let a = *t.a.add(r * t.a_stride + k);
                    for (sum, b) in row.iter_mut().zip(b) {
                        *sum = P::add::<FMA>(*sum, a, b);
                    }
                }
            }
            for (r, row) in sums.iter().enumerate() {
                t.out.add(r * t.out_stride + start).cast::<[P::Sum; COLUMNS]>().write_unaligned(*row);
            }
        }
    }
}

/// # Safety
/// As [`portable`].
unsafe fn plain<const R: usize, P: Products>(t: &Tile) {
    // SAFETY: guaranteed by the caller.
    unsafe { portable::<R, { cfg!(target_arch = "aarch64") }, P>(t) }
}

/// # Safety
/// As [`portable`], on a processor with AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<const R: usize, P: Products>(t: &Tile) {
    // SAFETY: guaranteed by the caller.
    unsafe { portable::<R, true, P>(t) }
}

macro_rules! table {
    ($name:ident, $kernel:ident, $element:ty) => {
        static $name: [TileKernel; 6] = [
            $kernel::<1, $element>,
            $kernel::<2, $element>,
            $kernel::<3, $element>,
            $kernel::<4, $element>,
            $kernel::<5, $element>,
            $kernel::<6, $element>,
        ];
    };
}
table!(PORTABLE_F32, plain, F32);
table!(PORTABLE_BF16, plain, Bf16);
table!(PORTABLE_INT8, plain, Int8);
#[cfg(target_arch = "x86_64")]
table!(AVX2_F32, avx2, F32);
#[cfg(target_arch = "x86_64")]
table!(AVX2_BF16, avx2, Bf16);
#[cfg(target_arch = "x86_64")]
table!(AVX2_INT8, avx2, Int8);

#[cfg(target_arch = "x86_64")]
mod avx512 {
    //! 14 rows times two registers of 16: 28 sums, two of the panel, one of the row.

    use std::arch::x86_64::{
        __m512, __m512bh, __m512i, _MM_HINT_T1, _mm_prefetch, _mm512_castps_si512, _mm512_castsi512_ps,
        _mm512_dpbf16_ps, _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps,
        _mm512_setzero_ps, _mm512_storeu_ps,
    };

    use super::{PANEL, Tile, TileKernel};

    macro_rules! kernel {
        ($name:ident, $features:literal, |$sum:ident, $a:ident, $b:ident| $add:expr) => {
            /// # Safety
            /// The pointers of `t` are valid for `R` rows; the processor supports the instructions.
            #[target_feature(enable = $features)]
            unsafe fn $name<const R: usize>(t: &Tile) {
                // SAFETY: guaranteed by the caller.
                unsafe {
                    let mut sums = [[_mm512_setzero_ps(); 2]; R];
                    let (a, b, out) = (t.a.cast::<f32>(), t.b.cast::<f32>(), t.out.cast::<f32>());
                    if !t.fresh {
                        for (r, row) in sums.iter_mut().enumerate() {
                            row[0] = _mm512_loadu_ps(out.add(r * t.out_stride));
                            row[1] = _mm512_loadu_ps(out.add(r * t.out_stride + 16));
                        }
                    }
                    let mut step = |k: usize| {
                        let panel =
                            [_mm512_loadu_ps(b.add(k * PANEL)), _mm512_loadu_ps(b.add(k * PANEL + 16))];
                        for (r, row) in sums.iter_mut().enumerate() {
                            let $a = _mm512_set1_ps(*a.add(r * t.a_stride + k));
                            for (s, $b) in row.iter_mut().zip(panel) {
                                let $sum = *s;
                                *s = $add;
                            }
                        }
                    };
                    let fours = t.depth / 4 * 4;
                    for k in (0..fours).step_by(4) {
                        _mm_prefetch::<_MM_HINT_T1>(t.ahead.wrapping_add(4 * k).cast());
                        step(k);
                        step(k + 1);
                        step(k + 2);
                        step(k + 3);
                    }
                    for k in fours..t.depth {
                        step(k);
                    }
                    for (r, row) in sums.iter().enumerate() {
                        _mm512_storeu_ps(out.add(r * t.out_stride), row[0]);
                        _mm512_storeu_ps(out.add(r * t.out_stride + 16), row[1]);
                    }
                }
            }
        };
    }

    kernel!(f32s, "avx512f", |sum, a, b| _mm512_fmadd_ps(a, b, sum));
    kernel!(bf16s, "avx512f,avx512bf16", |sum, a, b| _mm512_dpbf16_ps(sum, halves(a), halves(b)));
    kernel!(int8s, "avx512f,avx512vnni", |sum, a, b| {
        let sum =
            _mm512_dpbusd_epi32(_mm512_castps_si512(sum), _mm512_castps_si512(a), _mm512_castps_si512(b));
        _mm512_castsi512_ps(sum)
    });

    /// The same bits as 32 bfloat16 numbers.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bf16")]
    fn halves(x: __m512) -> __m512bh {
        let x: __m512i = _mm512_castps_si512(x);
        // SAFETY: both are 512 bits of plain data.
        unsafe { std::mem::transmute(x) }
    }

    macro_rules! table {
        ($name:ident, $kernel:ident: $($rows:literal)*) => {
            pub(super) static $name: [TileKernel; 14] = [$($kernel::<$rows>),*];
        };
    }
    table!(F32, f32s: 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    table!(BF16, bf16s: 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    table!(INT8, int8s: 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
}
