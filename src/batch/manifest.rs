//! The settings of a run, kept beside its results.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{BatchError, Shard};
use crate::output::SCHEMA_VERSION;
use crate::{Error, Provenance, Result, files};

/// Longest manifest that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// What a run was asked for, as far as its results depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA_VERSION`] of the results.
    pub schema: u32,
    /// The program and its version.
    pub program: String,
    /// The folder relative paths in results start from.
    pub started_in: PathBuf,
    /// Every setting that results depend on.
    pub settings: Provenance,
}

impl Manifest {
    /// The manifest of a run that starts now.
    pub fn new(settings: Provenance) -> Self {
        Self {
            schema: SCHEMA_VERSION,
            program: concat!("aaclip ", env!("CARGO_PKG_VERSION")).to_owned(),
            started_in: std::env::current_dir().unwrap_or_default(),
            settings,
        }
    }

    /// The name of the file: `manifest.json`, or `manifest-I-of-N.json`.
    pub fn file_name(shard: Option<Shard>) -> String {
        shard.map_or("manifest.json".to_owned(), |part| format!("manifest-{part}.json"))
    }

    /// Takes `folder` for a run: writes the manifest there, or finds that the one there has the same settings.
    ///
    /// # Errors
    /// Results of other settings or of unknown ones; a folder that cannot be written.
    pub fn claim(&self, folder: &Path, shard: Option<Shard>, journal: &Path) -> Result<()> {
        let path = folder.join(Self::file_name(shard));
        let unknown = |reason| BatchError::NoManifest {
            folder: folder.to_owned(),
            manifest: Self::file_name(shard),
            reason,
        };
        match Self::load(&path).map_err(unknown)? {
            None if journal.exists() => Err(unknown("it is missing".to_owned()).into()),
            None => self.write(&path),
            Some(there) => {
                self.compare(&there, folder)?;
                // The same run may have been started from elsewhere.
                if there.started_in == self.started_in { Ok(()) } else { self.write(&path) }
            }
        }
    }

    /// Reads the manifest of a run; `None` if there is none.
    ///
    /// # Errors
    /// A file that cannot be read, is no manifest or one of another schema.
    pub fn read(path: &Path) -> Result<Option<Self>, BatchError> {
        let wrong = |reason| BatchError::Manifest { path: path.to_owned(), reason };
        match Self::load(path).map_err(wrong)? {
            Some(there) if there.schema != SCHEMA_VERSION => {
                Err(wrong(format!("schema {}, expected {SCHEMA_VERSION}", there.schema)))
            }
            found => Ok(found),
        }
    }

    fn load(path: &Path) -> Result<Option<Self>, String> {
        match files::read_limited(path, LONGEST) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e.to_string()),
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| e.to_string()),
        }
    }

    fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(|e| Error::io("write", path, e.into()))?;
        files::write_atomic(path, format!("{text}\n").as_bytes()).map_err(|e| Error::io("write", path, e))
    }

    fn compare(&self, there: &Self, folder: &Path) -> Result<(), BatchError> {
        let mut differences = self.settings.differences(&there.settings);
        if (self.schema, &self.program) != (there.schema, &there.program) {
            let named = |m: &Self| format!("{} (schema {})", m.program, m.schema);
            differences.insert(0, format!("program: {} there, {} here", named(there), named(self)));
        }
        match differences.is_empty() {
            true => Ok(()),
            false => Err(BatchError::OtherSettings { folder: folder.to_owned(), differences }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(class: &str) -> Manifest {
        let mut settings = Provenance::default();
        settings.set("class", class);
        Manifest::new(settings)
    }

    #[test]
    fn a_folder_belongs_to_its_settings() {
        let dir = tempfile::tempdir().unwrap();
        let claim = |m: &Manifest| m.claim(dir.path(), None, &dir.path().join("results.jsonl"));
        claim(&manifest("bottle")).unwrap();
        claim(&manifest("bottle")).unwrap();
        let error = claim(&manifest("screw")).unwrap_err().to_string();
        assert!(error.contains("class: bottle there, screw here") && error.contains("--restart"), "{error}");
        let newer = Manifest { program: "aaclip 99".into(), ..manifest("bottle") };
        let error = claim(&newer).unwrap_err().to_string();
        assert!(error.contains("there, aaclip 99"), "{error}");
    }

    #[test]
    fn results_without_a_readable_manifest_are_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, path) = (dir.path().join("results.jsonl"), dir.path().join("manifest.json"));
        std::fs::write(&journal, "").unwrap();
        assert!(matches!(
            manifest("a").claim(dir.path(), None, &journal),
            Err(Error::Batch(BatchError::NoManifest { .. }))
        ));
        std::fs::write(&path, "{").unwrap();
        let error = manifest("a").claim(dir.path(), None, &journal).unwrap_err().to_string();
        assert!(error.contains("manifest.json"), "{error}");
    }
}
