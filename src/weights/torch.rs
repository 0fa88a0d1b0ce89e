//! PyTorch archives: state dicts of `torch.save` and modules of `torch.jit.save`.
//!
//! Both are zip files with a pickle, `<top>/data.pkl`, and one uncompressed entry per storage,
//! `<top>/data/<key>`. candle's reader finds no tensors in the second kind and reports no error; OpenAI
//! published CLIP in this form.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::Cursor;
use std::ops::Range;

use zip::{CompressionMethod, ZipArchive};

use super::WeightsError;
use super::mapped::{Mapped, Place};
use super::mapping::Mapping;
use super::pickle::{self, Arena, Id, PickleError, TensorView, Value};
use super::store::{StoredType, TensorInfo};

/// Opens a zip archive.
pub(super) fn open(file: Mapping) -> Result<Mapped<Element>, WeightsError> {
    let damaged = |e: zip::result::ZipError| file.damaged(format!("{e}; is it cut off?"));
    let mut archive = ZipArchive::new(Cursor::new(file.bytes())).map_err(damaged)?;
    // PyTorch writes only names that are UTF-8.
    let pickle = (archive.file_names().flatten())
        .filter(|n| n == "data.pkl" || n.ends_with("/data.pkl"))
        .min_by_key(|n| n.len())
        .map(Cow::into_owned);
    let Some(pickle) = pickle else {
        let what = "it is a zip archive without PyTorch's data.pkl";
        return Err(WeightsError::UnknownFormat { file: file.path().to_owned(), what });
    };
    let top = pickle.trim_end_matches("data.pkl").to_owned();
    let data = format!("{top}data/");
    let mut storages = HashMap::new();
    let mut program = None;
    for i in 0..archive.len() {
        let entry = archive.by_index_raw(i).map_err(damaged)?;
        let Ok(name) = entry.name() else { continue };
        let wanted = name == pickle || name.starts_with(&data) || name == format!("{top}byteorder");
        if !wanted {
            continue;
        }
        if entry.compression() != CompressionMethod::Stored {
            return Err(file.unsupported(format!("the compressed entry `{name}` (PyTorch never writes one)")));
        }
        let range = entry
            .data_start()
            .and_then(|start| Some(start as usize..usize::try_from(start.checked_add(entry.size())?).ok()?))
            .filter(|range| range.end <= file.bytes().len())
            .ok_or_else(|| file.damaged(format!("the entry `{name}` extends past the end of the file")))?;
        if name == pickle {
            program = Some(range);
        } else if let Some(key) = name.strip_prefix(&data) {
            storages.insert(key.to_owned(), range);
        } else if file.get(range) == Some(b"big") {
            return Err(file.unsupported("big-endian data"));
        }
    }
    let program = program.and_then(|range| file.get(range)).unwrap_or_default();
    let (arena, root, _) = pickle::load(program).map_err(|e| refuse(&file, e))?;
    collect(&arena, root, &storages, file)
}

/// Collects the tensors from a pickle's values and the positions of the storages.
pub(super) fn collect(
    arena: &Arena,
    root: Id,
    storages: &HashMap<String, Range<usize>>,
    file: Mapping,
) -> Result<Mapped<Element>, WeightsError> {
    let mut found = Flattened { arena, tensors: BTreeMap::new(), visits: 0, names: 0 };
    let content = unwrap(arena, root);
    if !found.collect(content, "", 0) {
        return Err(file.unsupported("a nesting of dictionaries this deep or wide"));
    }
    let mut tensors = BTreeMap::new();
    let mut together = 0usize;
    for (name, view) in found.tensors {
        let storage = storages.get(&view.storage.key).cloned().unwrap_or_default();
        let promised = view.storage.count.checked_mul(view.storage.dtype.size());
        if !view.is_inside() || promised.is_none_or(|bytes| storage.len() < bytes) {
            return Err(file.damaged(format!("tensor `{name}` extends past its storage")));
        }
        let info = TensorInfo { dtype: view.storage.dtype, shape: view.shape.clone() };
        together = together.saturating_add(view.span().saturating_mul(view.storage.dtype.size()));
        tensors.insert(name, (info, Element { view, storage }));
    }
    // Tensors may share a storage, but a small file must not become a large model.
    if together > MOST_SHARED * file.bytes().len() {
        return Err(file.damaged(format!(
            "its tensors overlap: their total size is more than {MOST_SHARED} times that of the file"
        )));
    }
    if tensors.is_empty() {
        let what = "it is a PyTorch file, but contains no tensors";
        return Err(WeightsError::UnknownFormat { file: file.path().to_owned(), what });
    }
    let metadata = plain_values(arena, root);
    Ok(Mapped { file, tensors, metadata })
}

/// Turns the refusal of a pickle into an error of its file.
pub(super) fn refuse(file: &Mapping, error: PickleError) -> WeightsError {
    match error {
        PickleError::Forbidden(function) => {
            WeightsError::Forbidden { file: file.path().to_owned(), function }
        }
        PickleError::Malformed(at, what) => file.damaged(format!("its pickle has {what} at byte {at}")),
    }
}

/// Training scripts save the state dict together with an epoch, a name or an optimiser's state.
const WRAPPERS: [&str; 3] = ["state_dict", "model_state_dict", "model"];

fn unwrap(arena: &Arena, root: Id) -> Id {
    let Value::Dict(entries) = arena.get(root) else { return root };
    let inner = WRAPPERS.iter().find_map(|wrapper| {
        let is_wrapper = |key: Id| matches!(arena.get(key), Value::Text(t) if t == wrapper);
        entries.iter().find(|&&(key, value)| is_wrapper(key) && matches!(arena.get(value), Value::Dict(_)))
    });
    inner.map_or(root, |&(_, value)| value)
}

/// The numbers and texts at the top level of a checkpoint.
fn plain_values(arena: &Arena, root: Id) -> BTreeMap<String, String> {
    let Value::Dict(entries) = arena.get(root) else { return BTreeMap::new() };
    let plain = |id: Id| match arena.get(id) {
        Value::Int(n) => Some(n.to_string()),
        Value::Float(x) => Some(x.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Text(t) if t.len() <= LONGEST_NAME => Some(t.clone()),
        _ => None,
    };
    let plain = entries.iter().filter_map(|&(key, value)| match arena.get(key) {
        Value::Text(key) if key.len() <= LONGEST_NAME => Some((key.clone(), plain(value)?)),
        _ => None,
    });
    plain.take(MOST_PLAIN).collect()
}

/// Largest number of plain values.
const MOST_PLAIN: usize = 10_000;

/// Checkpoints do not nest modules deeper, or have more attributes or longer names.
const DEEPEST: usize = 64;
const MOST_VISITS: usize = 1 << 20;
const LONGEST_NAME: usize = 4096;
const MOST_NAMES: usize = 64 << 20;

/// How often the bytes of a file may be part of tensors: tied weights are the same tensor twice.
const MOST_SHARED: usize = 16;

/// Collects tensors with dotted names.
struct Flattened<'a> {
    arena: &'a Arena,
    tensors: BTreeMap<String, TensorView>,
    visits: usize,
    /// Total bytes of all names.
    names: usize,
}

impl Flattened<'_> {
    /// `false` if the values are nested too deeply or cyclic, or have names that are too long.
    fn collect(&mut self, id: Id, name: &str, depth: usize) -> bool {
        let arena = self.arena;
        self.visits += match arena.get(id) {
            Value::Dict(entries) => 1 + entries.len(),
            _ => 1,
        };
        if depth > DEEPEST || self.visits > MOST_VISITS || name.len() > LONGEST_NAME {
            return false;
        }
        match arena.get(id) {
            Value::Tensor(view) => {
                self.names += name.len();
                self.tensors.insert(name.to_owned(), (**view).clone());
                self.names <= MOST_NAMES
            }
            Value::Object { state: Some(state) } => self.collect(*state, name, depth + 1),
            Value::Dict(entries) => entries.iter().all(|&(key, value)| {
                let key = match arena.get(key) {
                    Value::Text(key) => key.clone(),
                    Value::Int(key) => key.to_string(),
                    _ => return true,
                };
                let name = if name.is_empty() { key } else { format!("{name}.{key}") };
                self.collect(value, &name, depth + 1)
            }),
            _ => true,
        }
    }
}

/// A tensor: a view of a storage, and the position of the storage in the file.
pub(super) struct Element {
    view: TensorView,
    storage: Range<usize>,
}

impl Place for Element {
    fn bytes(&self, dtype: StoredType) -> Range<usize> {
        let start = self.storage.start + self.view.offset * dtype.size();
        start..start + self.view.span() * dtype.size()
    }

    fn arrange(&self, values: Vec<f32>) -> Vec<f32> {
        if self.view.is_contiguous() { values } else { gather(&values, &self.view) }
    }
}

/// The elements of a strided view, row-major, from the values between its first and its last element.
fn gather(span: &[f32], view: &TensorView) -> Vec<f32> {
    let mut out = Vec::with_capacity(view.count());
    let mut index = vec![0usize; view.shape.len()];
    for _ in 0..view.count() {
        let at: usize = index.iter().zip(&view.strides).map(|(i, s)| i * s).sum::<usize>();
        out.push(span[at]);
        for (i, &size) in index.iter_mut().zip(&view.shape).rev() {
            *i += 1;
            if *i < size {
                break;
            }
            *i = 0;
        }
    }
    out
}
