//! The format of `torch.save` before version 1.6: five consecutive pickles, then the storages.

use std::collections::HashMap;

use super::WeightsError;
use super::mapped::Mapped;
use super::mapping::Mapping;
use super::pickle::{self, Arena, Id, Value};
use super::torch::{self, Element, refuse};

/// A pickle of PyTorch's magic number.
const MAGIC: [u8; 14] = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

pub(super) fn is_legacy(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Opens a file of this format: magic number, protocol, system, content, list of storage keys; then, for each
/// key, the number of its values and the values.
pub(super) fn open(file: Mapping) -> Result<Mapped<Element>, WeightsError> {
    let bytes = file.bytes();
    let mut at = 0;
    let mut next = || -> Result<(Arena, Id), WeightsError> {
        let (arena, root, length) = pickle::load(&bytes[at..]).map_err(|e| refuse(&file, e))?;
        at += length;
        Ok((arena, root))
    };
    next()?;
    next()?;
    let (system, root) = next()?;
    if is_big_endian(&system, root) {
        return Err(file.unsupported("big-endian data"));
    }
    let (content, content_root) = next()?;
    let (keys, root) = next()?;

    let sizes = value_sizes(&content);
    let mut storages = HashMap::new();
    for key in texts(&keys, root) {
        let cut =
            || file.damaged(format!("storage `{key}` extends past the end of the file: the file is cut off"));
        let count = bytes.get(at..).and_then(|b| b.first_chunk::<8>()).ok_or_else(cut)?;
        let count = usize::try_from(u64::from_le_bytes(*count)).map_err(|_| cut())?;
        // The type of a storage without tensors is unknown, and so is the position of the next storage.
        let size =
            *sizes.get(&key).ok_or_else(|| file.damaged(format!("storage `{key}` belongs to no tensor")))?;
        let start = at + 8;
        let end =
            count.checked_mul(size).and_then(|n| start.checked_add(n)).filter(|&end| end <= bytes.len());
        let end = end.ok_or_else(cut)?;
        storages.insert(key, start..end);
        at = end;
    }
    torch::collect(&content, content_root, &storages, file)
}

fn is_big_endian(arena: &Arena, root: Id) -> bool {
    let Value::Dict(entries) = arena.get(root) else { return false };
    entries.iter().any(|&(key, value)| {
        matches!(arena.get(key), Value::Text(t) if t == "little_endian")
            && *arena.get(value) == Value::Bool(false)
    })
}

/// Bytes per value of every storage in the content.
fn value_sizes(arena: &Arena) -> HashMap<String, usize> {
    arena
        .iter()
        .filter_map(|value| match value {
            Value::Storage(storage) => Some((storage.key.clone(), storage.dtype.size())),
            _ => None,
        })
        .collect()
}

fn texts(arena: &Arena, root: Id) -> Vec<String> {
    let Value::List(items) = arena.get(root) else { return vec![] };
    items
        .iter()
        .filter_map(|&id| match arena.get(id) {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        })
        .collect()
}
