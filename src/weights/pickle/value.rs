//! What a pickle can build.

use crate::weights::StoredType;

/// A value's place in its [`Arena`].
pub(in crate::weights) type Id = usize;

/// All values of one pickle. They refer to each other by [`Id`], so shared and cyclic ones cost nothing.
#[derive(Debug, Default)]
pub(in crate::weights) struct Arena(Vec<Value>);

impl Arena {
    pub fn add(&mut self, value: Value) -> Id {
        self.0.push(value);
        self.0.len() - 1
    }

    pub fn get(&self, id: Id) -> &Value {
        self.0.get(id).unwrap_or(&Value::None)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Value> {
        self.0.iter()
    }

    pub fn get_mut(&mut self, id: Id) -> &mut Value {
        &mut self.0[id]
    }
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::weights) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A name that has not been called.
    Global(String),
    /// An instance of a class that is never looked into beyond its attributes.
    Object {
        state: Option<Id>,
    },
    Storage(Storage),
    Tensor(TensorView),
    /// Something that holds no weights.
    Opaque,
}

/// A run of values in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::weights) struct Storage {
    pub key: String,
    pub dtype: StoredType,
    pub count: usize,
}

/// A tensor: how its elements lie in a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::weights) struct TensorView {
    pub storage: Storage,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

impl TensorView {
    /// Number of elements.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the elements lie one after another, row-major.
    pub fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&size, &stride)| {
            let fits = size == 1 || stride == expected;
            expected *= size;
            fits
        })
    }

    /// Whether every element lies inside the storage, and there are no more of them than the storage has.
    pub fn is_inside(&self) -> bool {
        if self.shape.len() != self.strides.len() {
            return false;
        }
        let Some(count) = self.shape.iter().try_fold(1usize, |n, &s| n.checked_mul(s)) else { return false };
        if count == 0 {
            return self.offset <= self.storage.count;
        }
        let last =
            self.shape.iter().zip(&self.strides).try_fold(self.offset, |at, (&size, &stride)| {
                at.checked_add((size - 1).checked_mul(stride)?)
            });
        count <= self.storage.count && last.is_some_and(|at| at < self.storage.count)
    }
}
