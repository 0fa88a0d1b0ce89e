//! Device, precision and engine of a tower.

use std::str::FromStr;

use candle_core::{DType, Device};

use crate::kernels::{Element, Isa};
use crate::{Error, Result};

/// The number type of a tower's matrix products. Everything else (sums, LayerNorm, tokens) is in 32-bit
/// floats on the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// bfloat16: 8 bits of precision. Fast on processors with AVX512-BF16 and on GPUs.
    Bf16,
    /// 8-bit integers: weights with a scale per output, activations with a scale per token; attention as with
    /// [`Precision::Bf16`] on processors that support it, else in 32-bit floats. CPU only.
    Int8,
    /// Half precision. GPU only.
    F16,
}

impl Precision {
    /// The name used on the command line and in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
            Self::F16 => "f16",
        }
    }
}

/// A precision as written by the user: a name, or `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum PrecisionChoice {
    /// The same precision on every device.
    Fixed(Precision),
    /// bfloat16 where the hardware supports it, else 32-bit floats.
    #[default]
    Auto,
}

impl FromStr for PrecisionChoice {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let all = [Precision::F32, Precision::Bf16, Precision::Int8, Precision::F16];
        match all.into_iter().find(|p| p.name() == s) {
            Some(precision) => Ok(Self::Fixed(precision)),
            None if s == "auto" => Ok(Self::Auto),
            None => Err(format!("unknown precision `{s}`: expected f32, bf16, int8, f16 or auto")),
        }
    }
}

impl PrecisionChoice {
    /// The precision on a device.
    pub fn on(self, device: &Device) -> Precision {
        match self {
            Self::Fixed(precision) => precision,
            Self::Auto if !device.is_cpu() || Isa::best().has_bf16() => Precision::Bf16,
            Self::Auto => Precision::F32,
        }
    }
}

/// The device, precision and engine of a tower.
#[derive(Debug, Clone)]
pub struct Compute {
    device: Device,
    precision: Precision,
    gradients: bool,
}

impl Compute {
    /// For inference: this crate's kernels on the CPU, candle's operations on other devices.
    pub fn new(device: &Device, precision: Precision) -> Self {
        Self { device: device.clone(), precision, gradients: false }
    }

    /// For training: candle's operations in 32-bit floats, with gradients.
    pub fn with_gradients(device: &Device) -> Self {
        Self { device: device.clone(), precision: Precision::F32, gradients: true }
    }

    /// The device of the tensors.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The number type of the matrix products.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    pub(super) fn engine(&self) -> Result<Engine> {
        let unsupported =
            |where_| Err(Error::Setting(format!("precision {} is for {where_}", self.precision.name())));
        match (self.device.is_cpu() && !self.gradients, self.precision) {
            (true, Precision::F16) => unsupported("GPUs: on the CPU use bf16"),
            (true, Precision::F32) => Ok(Engine::Kernels(Element::F32)),
            (true, Precision::Bf16) => Ok(Engine::Kernels(Element::Bf16)),
            (true, Precision::Int8) => Ok(Engine::Kernels(Element::Int8)),
            (false, Precision::F32) => Ok(Engine::Graph(DType::F32)),
            (false, Precision::Bf16) => Ok(Engine::Graph(DType::BF16)),
            (false, Precision::F16) => Ok(Engine::Graph(DType::F16)),
            (false, Precision::Int8) => unsupported("the CPU: on a GPU use bf16 or f16"),
        }
    }
}

impl Default for Compute {
    /// The CPU, 32-bit floats.
    fn default() -> Self {
        Self::new(&Device::Cpu, Precision::F32)
    }
}

/// The implementation of a tower's blocks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Engine {
    /// This crate's kernels, with weights of this type.
    Kernels(Element),
    /// candle's operations, with this type.
    Graph(DType),
}

impl Engine {
    /// The type of the blocks' input and output tokens.
    pub fn dtype(self) -> DType {
        match self {
            Self::Kernels(_) => DType::F32,
            Self::Graph(dtype) => dtype,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precisions_have_their_places() {
        for name in ["f32", "bf16", "int8"] {
            let PrecisionChoice::Fixed(precision) = name.parse().unwrap() else { panic!("{name} is fixed") };
            assert_eq!(precision.name(), name);
            assert!(Compute::new(&Device::Cpu, precision).engine().is_ok());
        }
        let refused = Compute::new(&Device::Cpu, Precision::F16).engine().unwrap_err().to_string();
        assert!(refused.contains("f16") && refused.contains("bf16"), "{refused}");
        assert!("f64".parse::<PrecisionChoice>().is_err());
        let auto = "auto".parse::<PrecisionChoice>().unwrap().on(&Device::Cpu);
        assert_eq!(auto == Precision::Bf16, Isa::best().has_bf16());
    }
}
