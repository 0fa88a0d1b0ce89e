//! 8-bit weights: integers with a scale per row.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use super::WeightsError;
use super::mapped::Mapped;
use super::store::{StoredType, TensorInfo, TensorStore};

/// The ending of the names of scales.
const SCALE: &str = ".scale";

/// A safetensors file with some `i8` tensors, each with a tensor `NAME.scale` of one number per row (of the
/// first axis): a value is its integer times the scale of its row. Values are read as for any other tensor.
pub(super) struct RowScaled {
    file: Mapped<Range<usize>>,
    /// All tensors except the scales, with the types that they are read as.
    tensors: BTreeMap<String, TensorInfo>,
}

impl RowScaled {
    /// Wraps a file with such tensors; returns any other file.
    ///
    /// # Errors
    /// The scales do not match their tensor.
    pub fn new(file: Mapped<Range<usize>>) -> Result<Result<Self, Mapped<Range<usize>>>, WeightsError> {
        let scaled: Vec<String> = (file.tensors.iter())
            .filter(|(name, (info, _))| {
                info.dtype == StoredType::I8 && file.tensors.contains_key(&format!("{name}{SCALE}"))
            })
            .map(|(name, _)| name.clone())
            .collect();
        if scaled.is_empty() {
            return Ok(Err(file));
        }
        let mut tensors: BTreeMap<String, TensorInfo> =
            file.tensors.iter().map(|(name, (info, _))| (name.clone(), info.clone())).collect();
        for name in &scaled {
            let scales = tensors.remove(&format!("{name}{SCALE}"));
            if let Some(info) = tensors.get_mut(name) {
                let rows = info.shape.first().copied().unwrap_or(0);
                if scales.as_ref().is_none_or(|s| s.shape != [rows]) {
                    return Err(file.file.damaged(format!(
                        "`{name}{SCALE}` does not have one number for each of {rows} rows"
                    )));
                }
                info.dtype = StoredType::F32;
            }
        }
        Ok(Ok(Self { file, tensors }))
    }
}

impl TensorStore for RowScaled {
    fn path(&self) -> &Path {
        self.file.path()
    }

    fn names(&self) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).collect()
    }

    fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }

    fn metadata(&self) -> &BTreeMap<String, String> {
        self.file.metadata()
    }

    fn read_unchecked(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let range = match self.file.tensors.get(name) {
            Some((info, range)) if info.dtype == StoredType::I8 && self.tensors.contains_key(name) => range,
            _ => return self.file.read_unchecked(name),
        };
        let scales = self.file.read_unchecked(&format!("{name}{SCALE}"))?;
        let mapping = &self.file.file;
        let bytes = mapping
            .get(range.clone())
            .ok_or_else(|| mapping.damaged("it was cut off while it was being read"))?;
        let row = bytes.len().checked_div(scales.len()).unwrap_or(0).max(1);
        let values = bytes.chunks(row).zip(&scales);
        let values =
            values.flat_map(|(row, scale)| row.iter().map(move |&b| f32::from(b as i8) * scale)).collect();
        mapping.forget(range.clone());
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::super::open;
    use ::safetensors::tensor::TensorView;
    use ::safetensors::{Dtype, serialize_to_file};

    fn write(scales: &[f32]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let integers: Vec<u8> = [1i8, -2, 127, -127, 0, 3].iter().map(|v| *v as u8).collect();
        let scales: Vec<u8> = scales.iter().flat_map(|v| v.to_le_bytes()).collect();
        let views = [
            ("a.weight", TensorView::new(Dtype::I8, vec![2, 3], &integers).unwrap()),
            ("a.weight.scale", TensorView::new(Dtype::F32, vec![scales.len() / 4], &scales).unwrap()),
        ];
        serialize_to_file(views, None, &dir.path().join("w.safetensors")).unwrap();
        dir
    }

    #[test]
    fn integers_are_scaled_row_by_row() {
        let dir = write(&[0.5, 2.0]);
        let store = open(&dir.path().join("w.safetensors")).unwrap();
        assert_eq!(store.names(), ["a.weight"]);
        assert_eq!(store.read_f32("a.weight").unwrap(), [0.5, -1.0, 63.5, -254.0, 0.0, 6.0]);
    }

    #[test]
    fn scales_that_do_not_fit_are_refused() {
        let dir = write(&[0.5, 2.0, 1.0]);
        let Err(error) = open(&dir.path().join("w.safetensors")) else { panic!("it was taken") };
        assert!(error.to_string().contains("`a.weight.scale`"), "{error}");
        let dir = write(&[f32::NAN, 2.0]);
        assert!(open(&dir.path().join("w.safetensors")).unwrap().read_f32("a.weight").is_err());
    }
}
