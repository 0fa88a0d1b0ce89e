//! New weights, by the references' rules.

use candle_core::{Device, Result, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Draws initial weights.
pub struct Initial<'a> {
    random: ChaCha8Rng,
    device: &'a Device,
}

impl<'a> Initial<'a> {
    /// The same weights for the same seed on every machine.
    pub fn new(seed: u64, device: &'a Device) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(seed), device }
    }

    fn uniform(&mut self, shape: &[usize], bound: f32) -> Result<Tensor> {
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|_| self.random.random_range(-bound..bound)).collect();
        Tensor::from_vec(values, shape, self.device)
    }

    /// Xavier's uniform distribution, which AA-CLIP gives all its adapters.
    fn xavier(&mut self, outputs: usize, inputs: usize) -> Result<Tensor> {
        self.uniform(&[outputs, inputs], (6.0 / (outputs + inputs) as f32).sqrt())
    }
}

/// New text adapters: `until` of `[W, W]` and a projection `[D, W]`.
///
/// # Errors
/// None but the device's.
pub fn text_weights(
    initial: &mut Initial<'_>,
    until: usize,
    width: usize,
    space: usize,
) -> Result<Vec<(String, Tensor)>> {
    let mut all = Vec::with_capacity(until + 1);
    for i in 0..=until {
        let outputs = if i < until { width } else { space };
        all.push((format!("text_adapter.{i}"), initial.xavier(outputs, width)?));
    }
    Ok(all)
}

/// New image adapters: `until` of `[W, W]`, a projection `[D, W]` per level, and one for the image.
///
/// # Errors
/// None but the device's.
pub fn image_weights(
    initial: &mut Initial<'_>,
    until: usize,
    levels: usize,
    width: usize,
    space: usize,
) -> Result<Vec<(String, Tensor)>> {
    let mut all = Vec::new();
    for i in 0..until {
        all.push((format!("layer_adapters.{i}"), initial.xavier(width, width)?));
    }
    for i in 0..levels {
        all.push((format!("seg_proj.{i}"), initial.xavier(space, width)?));
    }
    all.push(("det_proj".to_owned(), initial.xavier(space, width)?));
    Ok(all)
}

/// New linear layers with PyTorch's own initialisation: weight `[D, W]` and bias `[D]` per level, both within one over
/// the root of `W`.
///
/// # Errors
/// None but the device's.
pub fn linear_weights(
    initial: &mut Initial<'_>,
    levels: usize,
    width: usize,
    space: usize,
) -> Result<Vec<(String, Tensor)>> {
    let bound = (width.max(1) as f32).sqrt().recip();
    let mut all = Vec::new();
    for i in 0..levels {
        all.push((format!("fc.{i}.weight"), initial.uniform(&[space, width], bound)?));
        all.push((format!("fc.{i}.bias"), initial.uniform(&[space], bound)?));
    }
    Ok(all)
}
