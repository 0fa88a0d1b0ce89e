//! A checkpoint with all tensors in one mapped file.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use super::WeightsError;
use super::mapping::Mapping;
use super::store::{StoredType, TensorInfo, TensorStore};

/// The position of a tensor's values in the file, and their order.
pub(super) trait Place: Send + Sync {
    /// The range of the values in the file.
    fn bytes(&self, dtype: StoredType) -> Range<usize>;

    /// Arranges the values of this range row-major.
    fn arrange(&self, values: Vec<f32>) -> Vec<f32>;
}

/// The tensors of a mapped file. All positions have been checked to be inside the file.
pub(super) struct Mapped<P> {
    pub file: Mapping,
    pub tensors: BTreeMap<String, (TensorInfo, P)>,
    pub metadata: BTreeMap<String, String>,
}

impl<P: Place> TensorStore for Mapped<P> {
    fn path(&self) -> &Path {
        self.file.path()
    }

    fn names(&self) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).collect()
    }

    fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name).map(|(info, _)| info)
    }

    fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    fn read_unchecked(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let (file, tensor) = (|| self.path().to_owned(), name.to_owned());
        let Some((info, place)) = self.tensors.get(name) else {
            return Err(WeightsError::Missing { file: file(), tensor, expected: vec![] });
        };
        let range = place.bytes(info.dtype);
        let bytes = self
            .file
            .get(range.clone())
            .ok_or_else(|| self.file.damaged("it was cut off while it was being read"))?;
        let values = info.dtype.to_f32(bytes);
        self.file.forget(range);
        match values {
            Some(values) => Ok(place.arrange(values)),
            None => Err(WeightsError::Type { file: file(), tensor, found: info.dtype.name() }),
        }
    }
}
