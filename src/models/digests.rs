//! The digests of files at their first download: `digests.json` in the program's cache folder.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::HubError;
use crate::files;

/// A file at its first download.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Recorded {
    pub sha256: String,
    pub size: u64,
    pub commit: String,
}

/// All records, by `owner/name/file`.
#[derive(Debug, Default)]
pub(super) struct Digests {
    path: Option<PathBuf>,
    records: BTreeMap<String, Recorded>,
}

impl Digests {
    /// Reads the records; a missing or damaged file counts as empty.
    pub fn load() -> Self {
        let path = files::cache_dir().map(|d| d.join("digests.json"));
        let text = path.as_ref().and_then(|p| std::fs::read(p).ok());
        let records = text.and_then(|t| serde_json::from_slice(&t).ok()).unwrap_or_default();
        Self { path, records }
    }

    pub fn get(&self, repo: &str, file: &str) -> Option<&Recorded> {
        self.records.get(&format!("{repo}/{file}"))
    }

    /// Adds the record of a file and saves all records.
    pub fn record(&mut self, repo: &str, file: &str, recorded: Recorded) -> Result<(), HubError> {
        self.records.insert(format!("{repo}/{file}"), recorded);
        let Some(path) = &self.path else { return Ok(()) };
        let io = |source| HubError::Io { action: "write", path: path.clone(), source };
        let text = serde_json::to_vec_pretty(&self.records).map_err(|e| io(e.into()))?;
        files::write_atomic(path, &text).map_err(io)
    }
}

/// Digest and size of a file.
pub(super) fn sha256_of(path: &Path) -> Result<(String, u64), HubError> {
    let io = |source| HubError::Io { action: "read", path: path.to_owned(), source };
    let mut file = std::fs::File::open(path).map_err(io)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut size = 0;
    loop {
        match file.read(&mut buffer).map_err(io)? {
            0 => break,
            n => {
                hash.update(&buffer[..n]);
                size += n as u64;
            }
        }
    }
    Ok((files::hex(&hash.finalize()), size))
}

/// The hub's cache names large files by their digest.
pub(super) fn digest_in_name(path: &Path) -> Option<String> {
    let blob = std::fs::canonicalize(path).ok()?;
    let name = blob.file_name()?.to_str()?;
    is_digest(name).then(|| name.to_owned())
}

pub(super) fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}
