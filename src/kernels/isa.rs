//! Detects the processor's vector instructions, once at run time.

use std::sync::OnceLock;

/// A set of vector instructions supported by the kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Isa {
    /// The instructions that the compiler may assume for the target; always available (on 64-bit ARM they
    /// include NEON).
    Portable,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ and VL.
    Avx512,
}

/// Instructions for products of small numbers, available only on some processors with AVX-512.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SmallNumbers {
    pub bf16: bool,
    pub int8: bool,
}

impl Isa {
    /// The best set of this processor.
    pub fn best() -> Self {
        static FOUND: OnceLock<Isa> = OnceLock::new();
        *FOUND.get_or_init(|| Self::all().last().copied().unwrap_or(Self::Portable))
    }

    /// All sets of this processor, the simplest first.
    pub fn all() -> Vec<Self> {
        #[allow(unused_mut, reason = "other processors have one")]
        let mut all = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                all.push(Self::Avx2);
            }
            let wide = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            if wide {
                all.push(Self::Avx512);
            }
        }
        all
    }

    /// Its name in messages and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable if cfg!(target_arch = "aarch64") => "neon",
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Whether the processor multiplies bfloat16 numbers.
    pub fn has_bf16(self) -> bool {
        self.small_numbers().bf16
    }

    /// Whether the processor multiplies 8-bit integers.
    pub fn has_int8(self) -> bool {
        self.small_numbers().int8
    }

    pub(super) fn small_numbers(self) -> SmallNumbers {
        #[cfg(target_arch = "x86_64")]
        if self == Self::Avx512 {
            return SmallNumbers {
                bf16: is_x86_feature_detected!("avx512bf16"),
                int8: is_x86_feature_detected!("avx512vnni"),
            };
        }
        SmallNumbers { bf16: false, int8: false }
    }
}

/// Defines a function that is compiled once for every instruction set.
///
/// In the body, `FMA` says whether a fused multiply-add is one instruction, and `BF16` whether rounding to
/// bfloat16 is. An [`Isa`] exists only on processors that support it.
macro_rules! vectorised {
    ($(#[$about:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$about])*
        $vis fn $name(isa: $crate::kernels::Isa, $($arg: $type),*) {
            #[inline(always)]
            fn body<const FMA: bool, const BF16: bool>($($arg: $type),*) $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $type),*) {
                body::<true, false>($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma")]
            fn avx512($($arg: $type),*) {
                body::<true, false>($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma")]
            fn avx512_bf16($($arg: $type),*) {
                body::<true, true>($($arg),*)
            }

            match isa {
                // SAFETY: an `Isa` other than `Portable` exists only on processors that support it.
                #[cfg(target_arch = "x86_64")]
                $crate::kernels::Isa::Avx2 => unsafe { avx2($($arg),*) },
                // SAFETY: as above, and the condition checks AVX512-BF16.
                #[cfg(target_arch = "x86_64")]
                $crate::kernels::Isa::Avx512 if isa.has_bf16() => unsafe { avx512_bf16($($arg),*) },
                // SAFETY: as the first.
                #[cfg(target_arch = "x86_64")]
                $crate::kernels::Isa::Avx512 => unsafe { avx512($($arg),*) },
                _ => body::<{ cfg!(target_arch = "aarch64") }, false>($($arg),*),
            }
        }
    };
}
pub(super) use vectorised;
