//! Threshold files.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{CalibrationError, ClassThreshold};
use crate::{Error, Provenance, Result, files};

const SCHEMA: u32 = 1;

/// A threshold file is small; a larger file is a wrong one.
const LARGEST_FILE: u64 = 16 << 20;

/// Thresholds and the settings they apply to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThresholdFile {
    /// Version of the format.
    pub schema: u32,
    /// The program's version.
    pub version: String,
    /// The model, as named by the user.
    pub model: String,
    /// All settings that scores depend on, except picture and class.
    pub settings: Provenance,
    /// Thresholds by the class text of the prompts.
    pub classes: BTreeMap<String, ClassThreshold>,
}

impl ThresholdFile {
    /// A file in this version's format.
    pub fn new(model: &str, settings: Provenance, classes: BTreeMap<String, ClassThreshold>) -> Self {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Self { schema: SCHEMA, version, model: model.to_owned(), settings, classes }
    }

    /// Reads a threshold file.
    ///
    /// # Errors
    /// The file cannot be read or is not a threshold file.
    pub fn read(path: &Path) -> Result<Self> {
        let io = |e| Error::io("read", path, e);
        let bad = |reason: String| CalibrationError::Threshold { path: path.to_owned(), reason };
        let length = std::fs::metadata(path).map_err(io)?.len();
        if length > LARGEST_FILE {
            return Err(bad(format!("the file is too large: {length} bytes")).into());
        }
        let bytes = std::fs::read(path).map_err(io)?;
        let file: Self = serde_json::from_slice(&bytes).map_err(|e| bad(e.to_string()))?;
        if file.schema != SCHEMA {
            return Err(bad(format!("it has schema {}, expected {SCHEMA}", file.schema)).into());
        }
        match file.classes.iter().find(|(_, t)| !t.threshold.is_finite()) {
            Some((class, _)) => Err(bad(format!("the threshold of `{class}` is not a number")).into()),
            None => Ok(file),
        }
    }

    /// Writes the file atomically.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let io = |e| Error::io("write", path, e);
        let mut text = serde_json::to_vec_pretty(self).map_err(|e| io(e.into()))?;
        text.push(b'\n');
        files::write_atomic(path, &text).map_err(io)
    }

    /// The thresholds of a class, if `settings` are the file's. `path` is the path of the file, for error
    /// messages.
    ///
    /// # Errors
    /// The settings differ from the file's, or the file has no threshold for the class.
    pub fn of(&self, path: &Path, settings: &Provenance, class: &str) -> Result<&ClassThreshold> {
        let differences = settings.differences(&self.settings);
        if !differences.is_empty() {
            return Err(CalibrationError::OtherSettings { path: path.to_owned(), differences }.into());
        }
        let known = || self.classes.keys().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ");
        self.classes.get(class).ok_or_else(|| {
            CalibrationError::OtherSettings {
                path: path.to_owned(),
                differences: vec![format!("class: {} there, `{class}` here", known())],
            }
            .into()
        })
    }
}
