//! The settings of a run, stored beside its results.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{BatchError, Shard};
use crate::journal::{JournalError, read_manifest, same_settings, write_manifest};
use crate::output::SCHEMA_VERSION;
use crate::{Error, Provenance, Result};

/// The settings of a run that its results depend on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA_VERSION`] of the results.
    pub schema: u32,
    /// The program and its version.
    pub program: String,
    /// The base folder of relative paths in results.
    pub started_in: PathBuf,
    /// Every setting that results depend on.
    pub settings: Provenance,
}

impl Manifest {
    /// The manifest of a new run.
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
        Shard::file_name(shard, "manifest", "json")
    }

    /// Claims `folder` for a run: writes the manifest, or checks that the existing one has the same settings,
    /// as do those of the run's other parts. Returns the base folder of paths in its results: the folder
    /// where the run was started first. `has_results` tells whether its journal has results.
    ///
    /// # Errors
    /// The folder has results of other or unknown settings, or of a run with another number of parts, or
    /// cannot be written.
    pub fn claim(&self, folder: &Path, shard: Option<Shard>, has_results: bool) -> Result<PathBuf> {
        self.compare_parts(folder, shard)?;
        let name = Self::file_name(shard);
        let path = folder.join(&name);
        match read_manifest::<Self>(&path)? {
            None if has_results => {
                Err(JournalError::damaged(&path, "it is missing, and there are results").into())
            }
            None => write_manifest(&path, self).map(|()| self.started_in.clone()),
            Some(there) => {
                same_settings(folder, &name, self.differences(&there))?;
                Ok(there.started_in)
            }
        }
    }

    /// The manifests of other parts in a folder.
    fn compare_parts(&self, folder: &Path, shard: Option<Shard>) -> Result<()> {
        let entries = std::fs::read_dir(folder).map_err(|e| Error::io("read", folder, e))?;
        for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
            let part = Shard::of_file(&name, "manifest", "json").filter(|other| *other != shard);
            let Some(other) = part else { continue };
            // A damaged manifest stops only its own part.
            let Ok(Some(there)) = read_manifest::<Self>(&folder.join(&name)) else { continue };
            if other.map(Shard::count) != shard.map(Shard::count) {
                let run =
                    |part: Option<Shard>| part.map_or("a whole run".to_owned(), |p| format!("part {p}"));
                let (there, here) = (run(other), run(shard));
                return Err(BatchError::OtherParts { folder: folder.to_owned(), there, here }.into());
            }
            same_settings(folder, &name, self.differences(&there))?;
        }
        Ok(())
    }

    /// Reads the manifest of a run; `None` if there is none.
    ///
    /// # Errors
    /// A file that cannot be read, is no manifest or one of another schema.
    pub fn read(path: &Path) -> Result<Option<Self>, JournalError> {
        match read_manifest::<Self>(path)? {
            Some(there) if there.schema != SCHEMA_VERSION => {
                let reason = format!("schema {}, expected {SCHEMA_VERSION}", there.schema);
                Err(JournalError::damaged(path, reason))
            }
            found => Ok(found),
        }
    }

    fn differences(&self, there: &Self) -> Vec<String> {
        let mut differences = self.settings.differences(&there.settings);
        if (self.schema, &self.program) != (there.schema, &there.program) {
            let named = |m: &Self| format!("{} (schema {})", m.program, m.schema);
            differences.insert(0, format!("program: {} there, {} here", named(there), named(self)));
        }
        differences
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
        let claim = |m: &Manifest| m.claim(dir.path(), None, false);
        let first = Manifest { started_in: "/first".into(), ..manifest("bottle") };
        assert_eq!(claim(&first).unwrap(), Path::new("/first"));
        // The same run may be started from elsewhere: what its results say holds from where it was started first.
        assert_eq!(claim(&manifest("bottle")).unwrap(), Path::new("/first"));
        let error = claim(&manifest("screw")).unwrap_err().to_string();
        assert!(error.contains("class: bottle there, screw here"), "{error}");
        let newer = Manifest { program: "aaclip 99".into(), ..manifest("bottle") };
        let error = claim(&newer).unwrap_err().to_string();
        assert!(error.contains("there, aaclip 99"), "{error}");
    }

    #[test]
    fn results_without_a_readable_manifest_are_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(
            manifest("a").claim(dir.path(), None, true),
            Err(Error::Journal(JournalError::Damaged { .. }))
        ));
        std::fs::write(dir.path().join("manifest.json"), "{").unwrap();
        let error = manifest("a").claim(dir.path(), None, false).unwrap_err().to_string();
        assert!(error.contains("manifest.json"), "{error}");
    }

    #[test]
    fn the_parts_of_a_run_have_the_same_settings() {
        let dir = tempfile::tempdir().unwrap();
        let part = |index, count| Shard::new(index, count);
        let claim = |class: &str, shard| {
            manifest(class).claim(dir.path(), shard, false).map_err(|error| error.to_string())
        };
        claim("nut", part(0, 2)).unwrap();
        claim("nut", part(1, 2)).unwrap();
        let error = claim("screw", part(1, 2)).unwrap_err();
        assert!(error.contains("manifest-0-of-2.json") && error.contains("nut there, screw here"), "{error}");
        for (shard, here) in [(None, "a whole run"), (part(0, 3), "part 0-of-3")] {
            let error = claim("nut", shard).unwrap_err();
            assert!(error.contains("-of-2") && error.contains(here), "{error}");
        }
    }
}
