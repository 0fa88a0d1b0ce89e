//! The small parts of a block, and how they are read from a checkpoint.

use candle_core::{Device, Result, Tensor};
use candle_nn::{LayerNorm, Linear, Module};

use super::config::Activation;
use super::differentiable::{gelu, linear, norm, quick_gelu};
use crate::weights::{ClipTensors, Parameter};

/// Reads tensors of one part of the model onto a device.
#[derive(Clone, Copy)]
pub(super) struct Params<'a> {
    pub tensors: &'a ClipTensors,
    pub device: &'a Device,
}

impl Params<'_> {
    pub fn tensor(&self, name: &str, shape: &[usize]) -> crate::Result<Tensor> {
        let parameter = Parameter { name: name.to_owned(), shape: shape.to_owned() };
        let values = self.tensors.read(&parameter)?;
        Ok(Tensor::from_vec(values, shape, self.device)?)
    }

    pub fn linear(&self, weight: &str, bias: &str, (input, output): (usize, usize)) -> crate::Result<Linear> {
        Ok(Linear::new(self.tensor(weight, &[output, input])?, Some(self.tensor(bias, &[output])?)))
    }

    pub fn norm(&self, name: &str, width: usize, eps: f64) -> crate::Result<Norm> {
        let weight = self.tensor(&format!("{name}.weight"), &[width])?;
        let bias = self.tensor(&format!("{name}.bias"), &[width])?;
        Ok(Norm { layer: LayerNorm::new(weight, bias, eps), eps })
    }
}

/// A LayerNorm through which gradients pass.
#[derive(Debug, Clone)]
pub(super) struct Norm {
    layer: LayerNorm,
    eps: f64,
}

impl Module for Norm {
    /// Over the last axis.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
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
