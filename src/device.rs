//! The device of the tensors.

use std::str::FromStr;

use candle_core::Device;

use crate::{Error, Result};

/// A compute device as written by the user: `cpu`, `cuda`, `cuda:1`, `metal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum DeviceChoice {
    /// The CPU.
    #[default]
    Cpu,
    /// The NVIDIA GPU with this number; needs the cargo feature `cuda`.
    Cuda(usize),
    /// The Apple GPU; needs the cargo feature `metal`.
    Metal,
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s.split_once(':') {
            None if s == "cpu" => Ok(Self::Cpu),
            None if s == "cuda" => Ok(Self::Cuda(0)),
            None if s == "metal" => Ok(Self::Metal),
            Some(("cuda", n)) => n.parse().map(Self::Cuda).map_err(|_| format!("`{n}` is not a GPU number")),
            _ => Err(format!("unknown device `{s}`: expected cpu, cuda, cuda:N or metal")),
        }
    }
}

impl DeviceChoice {
    /// Opens the device.
    ///
    /// # Errors
    /// The device does not exist, or this build has no support for it.
    pub fn open(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(_) if !cfg!(feature = "cuda") => Err(unsupported("cuda")),
            Self::Metal if !cfg!(feature = "metal") => Err(unsupported("metal")),
            Self::Cuda(n) => Ok(Device::new_cuda(n)?),
            Self::Metal => Ok(Device::new_metal(0)?),
        }
    }
}

fn unsupported(feature: &str) -> Error {
    Error::Setting(format!(
        "this build has no {feature} support: build it with `cargo build --release --features {feature}`, or use the CPU"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_devices() {
        assert_eq!("cpu".parse(), Ok(DeviceChoice::Cpu));
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(0)));
        assert_eq!("cuda:3".parse(), Ok(DeviceChoice::Cuda(3)));
        assert_eq!("metal".parse(), Ok(DeviceChoice::Metal));
        for bad in ["", "gpu", "cuda:", "cuda:x", "cpu:0", "CUDA"] {
            assert!(bad.parse::<DeviceChoice>().is_err(), "{bad}");
        }
    }
}
