//! The small parts of a block, with their loading.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{LayerNorm, Linear, Module};

use super::config::Activation;
use super::cpu::{from_floats, with_floats};
use super::differentiable::{gelu, linear, norm, quick_gelu};
use crate::kernels::{Element, Isa, NormWeights, PackedLinear};
use crate::weights::{ClipTensors, Parameter};

/// Reads tensors of one part of the model to a device.
#[derive(Clone, Copy)]
pub(super) struct Params<'a> {
    pub tensors: &'a ClipTensors,
    pub device: &'a Device,
}

impl Params<'_> {
    pub fn tensor(&self, name: &str, shape: &[usize]) -> crate::Result<Tensor> {
        Ok(Tensor::from_vec(self.values(name, shape)?, shape, self.device)?)
    }

    fn values(&self, name: &str, shape: &[usize]) -> crate::Result<Vec<f32>> {
        Ok(self.tensors.read(&Parameter { name: name.to_owned(), shape: shape.to_owned() })?)
    }

    pub fn linear(
        &self,
        weight: &str,
        bias: &str,
        (input, output): (usize, usize),
        dtype: DType,
    ) -> crate::Result<Linear> {
        let weight = self.tensor(weight, &[output, input])?.to_dtype(dtype)?;
        Ok(Linear::new(weight, Some(self.tensor(bias, &[output])?.to_dtype(dtype)?)))
    }

    pub fn packed(
        &self,
        weight: &str,
        bias: &str,
        (input, output): (usize, usize),
        element: Element,
    ) -> crate::Result<PackedLinear> {
        let weight = self.values(weight, &[output, input])?;
        let bias = self.values(bias, &[output])?;
        Ok(PackedLinear::new(Isa::best(), element, input, &weight, Some(&bias)))
    }

    pub fn norm(&self, name: &str, width: usize, eps: f64, dtype: DType) -> crate::Result<Norm> {
        let weight = self.tensor(&format!("{name}.weight"), &[width])?.to_dtype(dtype)?;
        let bias = self.tensor(&format!("{name}.bias"), &[width])?.to_dtype(dtype)?;
        Ok(Norm {
            plain: self.norm_weights(name, width, eps)?,
            layer: LayerNorm::new(weight, bias, eps),
            eps,
        })
    }

    pub fn norm_weights(&self, name: &str, width: usize, eps: f64) -> crate::Result<NormWeights> {
        let weight = self.values(&format!("{name}.weight"), &[width])?;
        let bias = self.values(&format!("{name}.bias"), &[width])?;
        Ok(NormWeights { weight, bias, eps: eps as f32 })
    }
}

/// A LayerNorm with gradients.
#[derive(Debug, Clone)]
pub(super) struct Norm {
    /// For the CPU, without gradients.
    plain: NormWeights,
    layer: LayerNorm,
    eps: f64,
}

impl Module for Norm {
    /// Over the last axis.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let fits = x.dims().last() == Some(&self.plain.weight.len());
        if x.device().is_cpu() && x.dtype() == DType::F32 && fits && !x.track_op() {
            return with_floats(x, |values| from_floats(self.plain.floats(Isa::best(), values), x.shape()));
        }
        norm(&self.layer, self.eps, x)
    }
}

/// Two linear layers with a nonlinearity between them.
#[derive(Debug, Clone)]
pub(super) struct Mlp {
    pub expand: Linear,
    pub contract: Linear,
    pub activation: Activation,
}

impl Module for Mlp {
    /// `[B, L, C]` to `[B, L, C]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let hidden = linear(&self.expand, x)?;
        let hidden = match self.activation {
            Activation::Gelu => gelu(&hidden)?,
            Activation::QuickGelu => quick_gelu(&hidden)?,
        };
        linear(&self.contract, &hidden)
    }
}
