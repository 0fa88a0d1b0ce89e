//! A checkpoint whose tensors lie in one mapped file.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use super::WeightsError;
use super::mapping::Mapping;
use super::store::{StoredType, TensorInfo, TensorStore};

/// Where a tensor's values lie in the file, and how they follow each other there.
pub(super) trait Place: Send + Sync {
    /// The bytes that hold the values.
    fn bytes(&self, dtype: StoredType) -> Range<usize>;

    /// The values of those bytes, row-major.
    fn arrange(&self, values: Vec<f32>) -> Vec<f32>;
}

/// The tensors of a mapped file. Their places have been checked to lie inside it.
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
        let bytes =
            self.file.get(range.clone()).ok_or_else(|| self.file.damaged("it was cut off meanwhile"))?;
        let values = info.dtype.to_f32(bytes);
        self.file.forget(range);
        match values {
            Some(values) => Ok(place.arrange(values)),
            None => Err(WeightsError::Type { file: file(), tensor, found: info.dtype.name() }),
        }
    }
}
