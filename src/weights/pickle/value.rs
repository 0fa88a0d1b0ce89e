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
    /// Boxed, as the next: a value of one byte in the file should not take a hundred in memory.
    Storage(Box<Storage>),
    Tensor(Box<TensorView>),
    /// Something that holds no weights.
    Opaque,
}

impl Value {
    /// Bytes it holds beside itself.
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
        if self.shape.contains(&0) { 0 } else { self.shape.iter().product() }
    }

    /// Whether the elements lie one after another, row-major.
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

    /// From the first to the last element, how many of the storage's there are. The view has been checked to lie
    /// inside it.
    pub fn span(&self) -> usize {
        if self.shape.contains(&0) {
            return 0;
        }
        1 + self.shape.iter().zip(&self.strides).map(|(&size, &stride)| (size - 1) * stride).sum::<usize>()
    }

    /// Whether every element lies inside the storage, and there are no more of them than the storage has.
    pub fn is_inside(&self) -> bool {
        if self.shape.len() != self.strides.len() {
            return false;
        }
        // Zeros aside, so that the product is a number in any order.
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
