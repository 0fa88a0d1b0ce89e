//! The small model built into the program, see `weights/builtin/MODEL_CARD.md`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use crate::map::MapRange;
use sha2::{Digest, Sha256};

use super::mapping::Mapping;
use super::store::{TensorStore, opened};
use super::{WeightsError, safetensors};

/// The name of the model on the command line and in results.
pub const NAME: &str = "builtin";

/// Its configuration, in open_clip's form.
pub(crate) const CONFIG: &str = include_str!("../../weights/builtin/open_clip_config.json");

/// Its tokenizer.
pub(crate) const TOKENIZER: &[u8] = include_bytes!("../../weights/builtin/tokenizer.json");

/// The levels of good parts and of clear damage by method, measured by its recipe.
const RANGES: &str = include_str!("../../weights/builtin/ranges.toml");

const MODEL: &[u8] = include_bytes!("../../weights/builtin/model.safetensors");

const ADAPTERS: &[u8] = include_bytes!("../../weights/builtin/adapters.safetensors");

/// A name for its parts, used as a path.
pub(crate) fn path(part: &str) -> PathBuf {
    PathBuf::from(format!("{NAME}/{part}"))
}

/// The levels of its maps with a method, if they were measured.
pub(crate) fn range(method: &str) -> Option<MapRange> {
    let all: BTreeMap<String, MapRange> = toml::from_str(RANGES).ok()?;
    all.get(method).copied()
}

/// Its towers.
///
/// # Errors
/// The embedded file is invalid, which a complete build excludes.
pub(crate) fn model() -> Result<Box<dyn TensorStore>, WeightsError> {
    opened(safetensors::open(Mapping::embedded(path("model.safetensors"), MODEL))?)
}

/// Its adapters.
///
/// # Errors
/// The embedded file is invalid, which a complete build excludes.
pub(crate) fn adapters() -> Result<Box<dyn TensorStore>, WeightsError> {
    opened(safetensors::open(Mapping::embedded(path("adapters.safetensors"), ADAPTERS))?)
}

/// A hash of its towers' weights.
pub(crate) fn digest() -> &'static [u8] {
    static DIGEST: LazyLock<Vec<u8>> = LazyLock::new(|| Sha256::digest(MODEL).to_vec());
    &DIGEST
}
