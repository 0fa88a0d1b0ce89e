//! The header of a file of trained weights.

use std::collections::{BTreeMap, HashMap};

/// Entries by name. They are optional: official checkpoints have only their epoch. Known names: `method`,
/// `base_model`, `levels` (with commas), `image_size` (pixels), `training_data`, `epochs`, and the method's
/// options in training, with `_` for `-`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Header(BTreeMap<String, String>);

impl Header {
    /// An entry.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Sets an entry.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// Sets an entry if it is missing.
    pub fn set_default(&mut self, name: &str, value: &str) {
        self.0.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }

    /// All entries, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The levels in training.
    pub fn levels(&self) -> Option<Vec<usize>> {
        self.get("levels")?.split(',').map(|n| n.trim().parse().ok()).collect()
    }

    /// The input size in training, in pixels.
    pub fn image_size(&self) -> Option<usize> {
        self.number("image_size")
    }

    /// An entry as a number or another parsed type.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.trim().parse().ok()
    }

    /// Copies a file's metadata, without entries of optimisers and frameworks.
    pub(super) fn take(&mut self, metadata: &BTreeMap<String, String>) {
        for (name, value) in metadata {
            let name = if name == "epoch" { "epochs" } else { name };
            if name != "format" {
                self.set(name, value);
            }
        }
    }

    pub(super) fn to_metadata(&self) -> HashMap<String, String> {
        let format = ("format".to_owned(), "aaclip-adapters-1".to_owned());
        self.0.iter().map(|(name, value)| (name.clone(), value.clone())).chain([format]).collect()
    }
}
