//! The values that a pickle can build.

use crate::weights::StoredType;

/// Index of a value in its [`Arena`].
pub(in crate::weights) type Id = usize;

/// All values of one pickle. They refer to each other by [`Id`], so shared and cyclic values need no copies.
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
    /// A name that was not called.
    Global(String),
    /// An instance of a class, of which only the attributes are used.
    Object {
        state: Option<Id>,
    },
    /// Boxed, as the next: a value of one byte in the file should not need a hundred bytes of memory.
    Storage(Box<Storage>),
    Tensor(Box<TensorView>),
    /// A value that is not needed for weights.
    Opaque,
}

impl Value {
    /// Additional bytes owned by the value.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text(text) | Self::Global(text) => text.len(),
            Self::Tuple(items) | Self::List(items) => size_of_val(&items[..]),
            Self::Dict(entries) => size_of_val(&entries[..]),
            Self::Storage(storage) => size_of::<Storage>() + storage.key.len(),
            Self::Tensor(view) => {
                size_of::<TensorView>() + view.storage.key.len() + 2 * size_of_val(&view.shape[..])
            }
            _ => 0,
        }
    }
}

/// A range of values in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::weights) struct Storage {
    pub key: String,
    pub dtype: StoredType,
    pub count: usize,
}

/// A tensor: the arrangement of its elements in a storage.
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
        if self.shape.contains(&0) { 0 } else { self.shape.iter().product() }
    }

    /// Whether the elements are consecutive and row-major.
    pub fn is_contiguous(&self) -> bool {
        if self.shape.contains(&0) {
            return true;
        }
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&size, &stride)| {
            let fits = size == 1 || stride == expected;
            expected *= size;
            fits
        })
    }

    /// Number of storage elements from the first to the last element. The view has been checked to be inside
    /// the storage.
    pub fn span(&self) -> usize {
        if self.shape.contains(&0) {
            return 0;
        }
        1 + self.shape.iter().zip(&self.strides).map(|(&size, &stride)| (size - 1) * stride).sum::<usize>()
    }

    /// Whether every element is inside the storage, and their number is at most the storage's.
    pub fn is_inside(&self) -> bool {
        if self.shape.len() != self.strides.len() {
            return false;
        }
        // Without zeros, so that the product is checked in any order.
        let sides = self.shape.iter().filter(|&&s| s > 0);
        let Some(count) = sides.copied().try_fold(1usize, usize::checked_mul) else { return false };
        if self.shape.contains(&0) {
            return self.offset <= self.storage.count;
        }
        let last =
            self.shape.iter().zip(&self.strides).try_fold(self.offset, |at, (&size, &stride)| {
                at.checked_add((size - 1).checked_mul(stride)?)
            });
        count <= self.storage.count && last.is_some_and(|at| at < self.storage.count)
    }
}
