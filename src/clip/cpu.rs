//! Conversion between candle's tensors and slices of floats.

use candle_core::{Device, Result, Shape, Storage, Tensor};

/// Calls `f` with the values of a tensor on the CPU, row-major.
pub(crate) fn with_floats<T>(x: &Tensor, f: impl FnOnce(&[f32]) -> Result<T>) -> Result<T> {
    if x.track_op() {
        candle_core::bail!("the kernels have no gradients: load the tower for training");
    }
    let x = x.contiguous()?;
    let (storage, layout) = x.storage_and_layout();
    let Storage::Cpu(values) = &*storage else { candle_core::bail!("the kernels are for the CPU") };
    let start = layout.start_offset();
    f(&values.as_slice::<f32>()?[start..start + layout.shape().elem_count()])
}

/// A CPU tensor that takes ownership of the values.
pub(crate) fn from_floats(values: Vec<f32>, shape: impl Into<Shape>) -> Result<Tensor> {
    Tensor::from_vec(values, shape.into(), &Device::Cpu)
}
