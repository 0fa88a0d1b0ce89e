//! Kernels of the towers for the CPU.
//!
//! Plain functions on slices, independent of candle: packed linear layers with the next operation fused in, LayerNorm
//! and multi-head attention, in 32-bit floats, bfloat16 or 8-bit integers. The instruction set is chosen at run time.
//! Every sum is made in one fixed order, so results do not depend on the number of threads.

mod attention;
mod bank;
mod buffer;
mod isa;
mod linear;
mod math;
mod norm;
mod residual;
mod rows;
mod tile;

pub use attention::{Attention, Projected};
pub(crate) use attention::{AttentionShape, attention};
pub use bank::{Bank, Match};
pub use isa::Isa;
pub use linear::{Nonlinearity, PackedLinear};
pub use norm::NormWeights;
pub(crate) use residual::mix_at_length;
pub use rows::Rows;
pub use tile::Element;

/// Pseudo-random numbers between -1 and 1.
#[cfg(test)]
fn sample(count: usize, seed: u32) -> Vec<f32> {
    let mix = |i: u32| {
        let h = (i ^ seed.wrapping_mul(0x9E37_79B9)).wrapping_mul(0x85EB_CA6B);
        let h = (h ^ (h >> 13)).wrapping_mul(0xC2B2_AE35);
        ((h ^ (h >> 16)) >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count as u32).map(mix).collect()
}
