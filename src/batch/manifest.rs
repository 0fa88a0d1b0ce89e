//! The settings of a run, stored beside its results.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{BatchError, Shard};
use crate::journal::{JournalError, read_manifest, same_settings, write_manifest};
use crate::map::MapRange;
use crate::output::SCHEMA_VERSION;
use crate::passed::PassedOver;
use crate::{Error, Provenance, Result};

/// The settings of a run that its results depend on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA_VERSION`] of the results.
    pub schema: u32,
    /// The program and its version.
    pub program: String,
    /// The base folder of relative paths in results.
    pub started_in: PathBuf,
    /// Every setting that results depend on.
    pub settings: Provenance,
    /// The levels of the run's colours, if they were measured on its pictures. Not a setting: no score depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map_range: Option<MapRange>,
    /// What the search of the latest run passed over. Not a setting.
    #[serde(default, skip_serializing_if = "PassedOver::is_empty")]
    pub passed_over: PassedOver,
}

impl Manifest {
    /// The manifest of a new run.
    pub fn new(settings: Provenance) -> Self {
        Self {
            schema: SCHEMA_VERSION,
            program: concat!("aaclip ", env!("CARGO_PKG_VERSION")).to_owned(),
            started_in: std::env::current_dir().unwrap_or_default(),
            settings,
            map_range: None,
            passed_over: PassedOver::default(),
        }
    }

    /// Changes the stored manifest of a part: what is no setting, such as the range of colours for later runs over the
    /// folder.
    ///
    /// # Errors
    /// The manifest cannot be read or written.
    pub fn update(folder: &Path, shard: Option<Shard>, change: impl FnOnce(&mut Self)) -> Result<()> {
        let path = folder.join(Self::file_name(shard));
        let Some(before) = Self::read(&path)? else { return Ok(()) };
        let mut manifest = before.clone();
        change(&mut manifest);
        if manifest == before { Ok(()) } else { write_manifest(&path, &manifest) }
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
                Err(JournalError::damaged(&path, "it is missing, but the folder has results").into())
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

    /// Reads the manifest of a run; `None` if there is no such file.
    ///
    /// # Errors
    /// The file cannot be read, or is not a manifest of this schema.
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
