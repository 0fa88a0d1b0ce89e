//! Initial weights from a seed.

use candle_core::{Device, Result, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Draws initial weights.
pub struct Initial<'a> {
    random: ChaCha8Rng,
    device: &'a Device,
}

impl<'a> Initial<'a> {
    /// The same seed gives the same weights on every machine.
    pub fn new(seed: u64, device: &'a Device) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(seed), device }
    }

    /// Uniform values from `-bound` to `bound`.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn uniform(&mut self, shape: &[usize], bound: f32) -> Result<Tensor> {
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|_| self.random.random_range(-bound..bound)).collect();
        Tensor::from_vec(values, shape, self.device)
    }

    /// A matrix `[outputs, inputs]` with Xavier's uniform distribution.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn xavier(&mut self, outputs: usize, inputs: usize) -> Result<Tensor> {
        self.uniform(&[outputs, inputs], (6.0 / (outputs + inputs) as f32).sqrt())
    }
}
