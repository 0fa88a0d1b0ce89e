//! The functions and classes that a checkpoint may name, and their meaning here.

use super::value::{Arena, Id, Storage, TensorView, Value};
use crate::weights::StoredType;

/// The result of a call.
pub(super) enum Outcome {
    New(Value),
    /// One of its arguments.
    Existing(Id),
}

/// The reason for refusing a call.
pub(super) enum Refusal {
    Unknown(String),
    Arguments(String),
}

/// The meaning of calling `name`. Names that are not listed here are refused.
pub(super) fn call(arena: &Arena, name: &str, arguments: &[Id]) -> Result<Outcome, Refusal> {
    let argument = |i: usize| {
        arguments
            .get(i)
            .copied()
            .ok_or_else(|| Refusal::Arguments(format!("`{name}` without its argument {i}")))
    };
    match name {
        "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2" => {
            let view = tensor(arena, arguments);
            Ok(Outcome::New(Value::Tensor(Box::new(
                view.ok_or_else(|| Refusal::Arguments("a tensor whose place makes no sense".to_owned()))?,
            ))))
        }
        "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state" => {
            Ok(Outcome::Existing(argument(0)?))
        }
        "torch._tensor._rebuild_from_type_v2" => {
            // (function, type, arguments, state): a tensor with Python attributes.
            match (arena.get(argument(0)?), arena.get(argument(2)?)) {
                // Only the plain tensor functions, so that calls cannot nest.
                (Value::Global(inner), Value::Tuple(items))
                    if inner.starts_with("torch._utils._rebuild_") =>
                {
                    call(arena, inner, items)
                }
                (Value::Global(inner), _) => Err(Refusal::Unknown(inner.clone())),
                _ => Err(Refusal::Arguments("a tensor without its function".to_owned())),
            }
        }
        "collections.OrderedDict" | "collections.defaultdict" | "builtins.dict" | "__builtin__.dict" => {
            Ok(Outcome::New(Value::Dict(arguments.first().map_or_else(Vec::new, |&a| pairs(arena, a)))))
        }
        "torch.Size"
        | "builtins.list"
        | "builtins.set"
        | "builtins.frozenset"
        | "builtins.tuple"
        | "__builtin__.set"
        | "__builtin__.list"
        | "torch.jit._pickle.build_intlist"
        | "torch.jit._pickle.build_tensorlist"
        | "torch.jit._pickle.build_boollist"
        | "torch.jit._pickle.build_doublelist"
        | "torch.jit._pickle.restore_type_tag" => match arguments.first() {
            Some(&first) => Ok(Outcome::Existing(first)),
            None => Ok(Outcome::New(Value::List(vec![]))),
        },
        "torch.device"
        | "torch.serialization._get_layout"
        | "numpy.dtype"
        | "_codecs.encode"
        | "numpy.core.multiarray.scalar"
        | "numpy._core.multiarray.scalar" => Ok(Outcome::New(Value::Opaque)),
        "argparse.Namespace" => Ok(Outcome::New(Value::Opaque)),
        // The classes of a TorchScript archive are code in the archive, which is never read.
        _ if name.starts_with("__torch__.") => Ok(Outcome::New(Value::Object { state: None })),
        _ => Err(Refusal::Unknown(name.to_owned())),
    }
}

/// The entries of a list of pairs.
fn pairs(arena: &Arena, id: Id) -> Vec<(Id, Id)> {
    match arena.get(id) {
        Value::Dict(entries) => entries.clone(),
        Value::List(items) | Value::Tuple(items) => items
            .iter()
            .filter_map(|&pair| match arena.get(pair) {
                Value::Tuple(two) | Value::List(two) if two.len() == 2 => Some((two[0], two[1])),
                _ => None,
            })
            .collect(),
        _ => vec![],
    }
}

/// `(storage, offset, shape, strides, ..)`.
fn tensor(arena: &Arena, arguments: &[Id]) -> Option<TensorView> {
    let [storage, offset, shape, strides, ..] = *arguments else { return None };
    let Value::Storage(storage) = arena.get(storage) else { return None };
    Some(TensorView {
        storage: (**storage).clone(),
        offset: size(arena, offset)?,
        shape: sizes(arena, shape)?,
        strides: sizes(arena, strides)?,
    })
}

fn size(arena: &Arena, id: Id) -> Option<usize> {
    match arena.get(id) {
        Value::Int(n) => usize::try_from(*n).ok(),
        _ => None,
    }
}

fn sizes(arena: &Arena, id: Id) -> Option<Vec<usize>> {
    match arena.get(id) {
        Value::Tuple(items) | Value::List(items) if items.len() <= MOST_AXES => {
            items.iter().map(|&i| size(arena, i)).collect()
        }
        _ => None,
    }
}

/// PyTorch's own limit.
const MOST_AXES: usize = 64;

/// Keys are short numbers.
const LONGEST_KEY: usize = 256;

/// A storage by its persistent id: `("storage", type, key, device, count[, view])`.
pub(super) fn storage(arena: &Arena, id: Id) -> Result<Box<Storage>, String> {
    let Value::Tuple(parts) = arena.get(id) else { return Err("a storage that is not a tuple".to_owned()) };
    let (Some(&tag), Some(&kind), Some(&key), Some(&count)) =
        (parts.first(), parts.get(1), parts.get(2), parts.get(4))
    else {
        return Err("a storage with too few parts".to_owned());
    };
    if !matches!(arena.get(tag), Value::Text(tag) if tag == "storage") {
        return Err("a persistent value that is not a storage".to_owned());
    }
    if parts.get(5).is_some_and(|&view| *arena.get(view) != Value::None) {
        return Err("a storage that is a view of another".to_owned());
    }
    let Value::Global(kind) = arena.get(kind) else { return Err("a storage without a type".to_owned()) };
    let dtype = match kind.as_str() {
        "torch.FloatStorage" => StoredType::F32,
        "torch.DoubleStorage" => StoredType::F64,
        "torch.HalfStorage" => StoredType::F16,
        "torch.BFloat16Storage" => StoredType::Bf16,
        "torch.LongStorage" => StoredType::I64,
        "torch.IntStorage" => StoredType::I32,
        "torch.ShortStorage" => StoredType::I16,
        "torch.CharStorage" => StoredType::I8,
        "torch.ByteStorage" => StoredType::U8,
        "torch.BoolStorage" => StoredType::Bool,
        other => return Err(format!("a storage of the unknown type `{other}`")),
    };
    let key = match arena.get(key) {
        Value::Text(key) if key.len() <= LONGEST_KEY => key.clone(),
        Value::Int(key) => key.to_string(),
        _ => return Err("a storage without a key".to_owned()),
    };
    let count = size(arena, count).ok_or("a storage without a size")?;
    Ok(Box::new(Storage { key, dtype, count }))
}
