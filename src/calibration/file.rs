//! Threshold files.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{CalibrationError, ClassThreshold};
use crate::anchors::ClassName;
use crate::lines::without_mark;
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
    /// The classes by the names they were given or have in their data set, where that is not all there is to know:
    /// the class `capsule` of a data set may have another text in the prompts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, ClassName>,
}

impl ThresholdFile {
    /// A file in this version's format. `names` are the classes by their names.
    pub fn new(
        model: &str,
        settings: Provenance,
        classes: BTreeMap<String, ClassThreshold>,
        mut names: BTreeMap<String, ClassName>,
    ) -> Self {
        names.retain(|name, class| classes.contains_key(&class.text) && *class != ClassName::plain(name));
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Self { schema: SCHEMA, version, model: model.to_owned(), settings, classes, names }
    }

    /// The class that a name or a class text means in this file; `None` if the file does not know it.
    pub fn class(&self, name: &str) -> Option<ClassName> {
        let by_text = || {
            let text = self.classes.contains_key(name).then(|| ClassName::plain(name))?;
            Some(self.names.values().find(|class| class.text == text.text).cloned().unwrap_or(text))
        };
        self.names.get(name).cloned().or_else(by_text)
    }

    /// The class text, if the file has one class.
    pub fn only_class(&self) -> Option<&str> {
        let mut texts = self.classes.keys();
        texts.next().filter(|_| texts.next().is_none()).map(String::as_str)
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
        let file: Self = serde_json::from_slice(without_mark(&bytes)).map_err(|e| bad(e.to_string()))?;
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
