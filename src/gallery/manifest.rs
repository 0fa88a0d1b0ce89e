//! What a page needs of a run's manifest: where relative paths start.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::GalleryError;
use super::results::SCHEMA;
use crate::{Error, Result};

/// Largest manifest that is read, in bytes.
const LARGEST: u64 = 16 << 20;

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    schema: Option<Value>,
    #[serde(default)]
    started_in: Option<PathBuf>,
}

/// The folder a run was started in; `None` where there is no manifest or it does not say.
///
/// # Errors
/// A manifest that cannot be read, is damaged or of another schema.
pub(super) fn started_in(path: &Path) -> Result<Option<PathBuf>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("read", path, e)),
    };
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).map_err(|e| Error::io("read", path, e))?;
    let refused = |reason| Error::from(GalleryError::Manifest { path: path.to_owned(), reason });
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|e| refused(e.to_string()))?;
    match manifest.schema {
        Some(schema) if schema.as_u64() == Some(SCHEMA) => Ok(manifest.started_in),
        Some(other) => Err(refused(format!("schema {other}, expected {SCHEMA}"))),
        None => Err(refused("it has no schema".to_owned())),
    }
}
