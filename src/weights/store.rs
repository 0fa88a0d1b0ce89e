//! The common interface of checkpoints in all formats.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use half::{bf16, f16};

use super::int8::RowScaled;
use super::mapped::Mapped;
use super::mapping::Mapping;
use super::sharded::Sharded;
use super::{WeightsError, legacy, safetensors, torch};

/// The type of a tensor's values on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
#[non_exhaustive]
pub enum StoredType {
    F64,
    F32,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl StoredType {
    /// Bytes per value.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// Its usual name.
    pub fn name(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::I64 => "i64",
            Self::I32 => "i32",
            Self::I16 => "i16",
            Self::I8 => "i8",
            Self::U8 => "u8",
            Self::Bool => "bool",
        }
    }

    /// Little-endian values as f32; `None` for a type that is not for weights.
    pub(super) fn to_f32(self, bytes: &[u8]) -> Option<Vec<f32>> {
        let words = bytes.as_chunks::<2>().0.iter();
        match self {
            Self::F32 => Some(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
            Self::F16 => Some(words.map(|b| f16::from_le_bytes(*b).to_f32()).collect()),
            Self::Bf16 => Some(words.map(|b| bf16::from_le_bytes(*b).to_f32()).collect()),
            Self::F64 => {
                Some(bytes.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect())
            }
            Self::I64 | Self::I32 | Self::I16 | Self::I8 | Self::U8 | Self::Bool => None,
        }
    }
}

/// The type and shape of a tensor in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// The type of its values.
    pub dtype: StoredType,
    /// Its shape.
    pub shape: Vec<usize>,
}

/// A checkpoint on disk. Opening reads the header; values are read on request.
pub trait TensorStore: Send + Sync {
    /// The file.
    fn path(&self) -> &Path;

    /// The names of all tensors, sorted.
    fn names(&self) -> Vec<&str>;

    /// Type and shape of a tensor.
    fn info(&self, name: &str) -> Option<&TensorInfo>;

    /// The file's own information: the metadata of safetensors, or the plain values beside a state dict.
    fn metadata(&self) -> &BTreeMap<String, String>;

    /// The values of a tensor, row-major, without checks.
    ///
    /// # Errors
    /// The file cannot be read, or the tensor does not exist or has a type that is not for weights.
    fn read_unchecked(&self, name: &str) -> Result<Vec<f32>, WeightsError>;

    /// The values of a tensor, row-major.
    ///
    /// # Errors
    /// Errors of [`Self::read_unchecked`], or a value is not finite.
    fn read_f32(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let values = self.read_unchecked(name)?;
        match values.iter().position(|v| !v.is_finite()) {
            None => Ok(values),
            Some(index) => Err(WeightsError::NotFinite {
                file: self.path().to_owned(),
                tensor: name.to_owned(),
                value: values[index],
                index,
            }),
        }
    }
}

/// Opens a checkpoint. The format is detected from the content: safetensors (one file, or the JSON index of
/// several), a PyTorch archive (a state dict or TorchScript) or a PyTorch file from before version 1.6.
///
/// # Errors
/// The file cannot be read, has another format, or is damaged.
pub fn open(path: &Path) -> Result<Box<dyn TensorStore>, WeightsError> {
    let file = Mapping::open(path)?;
    let unknown = |what| WeightsError::UnknownFormat { file: path.to_owned(), what };
    let bytes = file.bytes();
    if bytes.is_empty() {
        return Err(unknown("it is empty"));
    }
    // Tested first, because its first bytes are a number and can look like the start of another format.
    if safetensors::has_header(bytes) {
        return opened(safetensors::open(file)?);
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return Ok(Box::new(torch::open(file)?));
    }
    if legacy::is_legacy(bytes) {
        return Ok(Box::new(legacy::open(file)?));
    }
    if bytes.starts_with(b"version https://git-lfs") {
        return Err(unknown(
            "it is a Git-LFS pointer; the weights themselves were not downloaded (`git lfs pull`)",
        ));
    }
    let text = bytes[..bytes.len().min(256)].trim_ascii_start().to_ascii_lowercase();
    if text.starts_with(b"<!doctype") || text.starts_with(b"<html") || text.starts_with(b"<?xml") {
        return Err(unknown("it is a web page, saved in place of the weights; download it again"));
    }
    if path.extension().is_some_and(|e| e == "json") {
        return Ok(Box::new(Sharded::open(path)?));
    }
    if bytes.starts_with(&[0x80]) {
        return Err(unknown("it is a pickle, but not one that torch.save writes"));
    }
    opened(safetensors::open(file)?)
}

/// A safetensors file whose 8-bit tensors are expanded during reading.
pub(super) fn opened(file: Mapped<Range<usize>>) -> Result<Box<dyn TensorStore>, WeightsError> {
    Ok(match RowScaled::new(file)? {
        Ok(scaled) => Box::new(scaled),
        Err(plain) => Box::new(plain),
    })
}
