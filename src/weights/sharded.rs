//! Checkpoints in several files, with a JSON index of tensors and files.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::WeightsError;
use super::store::{self, TensorInfo, TensorStore};
use crate::files;

/// An index has about 100 bytes per tensor.
const LARGEST_INDEX: u64 = 64 << 20;

/// `model.safetensors.index.json` or `pytorch_model.bin.index.json` and its shards.
pub(super) struct Sharded {
    path: PathBuf,
    shards: Vec<Box<dyn TensorStore>>,
    /// The shard of each tensor.
    tensors: BTreeMap<String, usize>,
    metadata: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Sharded {
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let damaged = |what: String| WeightsError::Damaged { file: path.to_owned(), what };
        let text = files::read_limited(path, LARGEST_INDEX)
            .map_err(|source| WeightsError::Io { file: path.to_owned(), source })?;
        let index: Index = serde_json::from_slice(&text)
            .map_err(|e| damaged(format!("it is not an index of shards: {e}")))?;
        let dir = path.parent().unwrap_or(Path::new(""));
        let mut names: Vec<&String> = index.weight_map.values().collect();
        names.sort();
        names.dedup();
        let mut shards = Vec::with_capacity(names.len());
        for &name in &names {
            // A shard is beside its index; a name with another folder is refused.
            let mut parts = Path::new(name).components();
            if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
                || name.ends_with(".json")
            {
                return Err(damaged(format!("`{name}` is not the name of a shard")));
            }
            let shard = dir.join(name);
            if !shard.is_file() {
                return Err(WeightsError::ShardMissing { file: path.to_owned(), shard: name.clone() });
            }
            shards.push(store::open(&shard)?);
        }
        let mut tensors = BTreeMap::new();
        for (tensor, file) in &index.weight_map {
            let shard = names.binary_search(&file).unwrap_or_default();
            if shards[shard].info(tensor).is_none() {
                return Err(damaged(format!("shard `{file}` does not contain tensor `{tensor}`")));
            }
            tensors.insert(tensor.clone(), shard);
        }
        Ok(Self { path: path.to_owned(), shards, tensors, metadata: BTreeMap::new() })
    }

    fn shard(&self, name: &str) -> Option<&dyn TensorStore> {
        self.tensors.get(name).map(|&i| &*self.shards[i])
    }
}

impl TensorStore for Sharded {
    fn path(&self) -> &Path {
        &self.path
    }

    fn names(&self) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).collect()
    }

    fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.shard(name)?.info(name)
    }

    fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    fn read_unchecked(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let missing =
            || WeightsError::Missing { file: self.path.clone(), tensor: name.to_owned(), expected: vec![] };
        self.shard(name).ok_or_else(missing)?.read_unchecked(name)
    }
}
