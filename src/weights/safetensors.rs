//! The safetensors format, mapped.

use std::collections::BTreeMap;
use std::ops::Range;

use safetensors::{Dtype, SafeTensors};

use super::WeightsError;
use super::mapped::{Mapped, Place};
use super::mapping::Mapping;
use super::store::{StoredType, TensorInfo};

/// Whether the file begins with the length of a JSON object inside it.
pub(super) fn has_header(bytes: &[u8]) -> bool {
    let length = bytes.first_chunk::<8>().map(|b| u64::from_le_bytes(*b));
    length.is_some_and(|n| n < bytes.len() as u64) && bytes.get(8) == Some(&b'{')
}

/// Opens one safetensors file.
pub(super) fn open(file: Mapping) -> Result<Mapped<Range<usize>>, WeightsError> {
    let bytes = file.bytes();
    let length = bytes.first_chunk::<8>().map(|b| u64::from_le_bytes(*b));
    let plausible = length.is_some_and(|n| n > 1 && n < 1 << 32) && bytes.get(8) == Some(&b'{');
    if !plausible {
        let what = "its content is not safetensors, a PyTorch archive or a PyTorch file";
        return Err(WeightsError::UnknownFormat { file: file.path().to_owned(), what });
    }
    let (header_length, header) =
        SafeTensors::read_metadata(bytes).map_err(|e| file.damaged(e.to_string()))?;
    let data = 8 + header_length;
    let mut tensors = BTreeMap::new();
    for (name, info) in header.tensors() {
        let Some(dtype) = stored_type(info.dtype) else {
            return Err(file.unsupported(format!("type {:?} of tensor `{name}`", info.dtype)));
        };
        let range = data + info.data_offsets.0..data + info.data_offsets.1;
        if range.end > bytes.len() {
            return Err(file
                .damaged(format!("tensor `{name}` extends past the end of the file: the file is cut off")));
        }
        tensors.insert(name, (TensorInfo { dtype, shape: info.shape.clone() }, range));
    }
    let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
    Ok(Mapped { file, tensors, metadata })
}

/// The values of a tensor are contiguous.
impl Place for Range<usize> {
    fn bytes(&self, _dtype: StoredType) -> Range<usize> {
        self.clone()
    }

    fn arrange(&self, values: Vec<f32>) -> Vec<f32> {
        values
    }
}

fn stored_type(dtype: Dtype) -> Option<StoredType> {
    Some(match dtype {
        Dtype::F64 => StoredType::F64,
        Dtype::F32 => StoredType::F32,
        Dtype::F16 => StoredType::F16,
        Dtype::BF16 => StoredType::Bf16,
        Dtype::I64 => StoredType::I64,
        Dtype::I32 => StoredType::I32,
        Dtype::I16 => StoredType::I16,
        Dtype::I8 => StoredType::I8,
        Dtype::U8 => StoredType::U8,
        Dtype::BOOL => StoredType::Bool,
        _ => return None,
    })
}
