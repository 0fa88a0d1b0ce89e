//! What a file of trained weights says about itself.

use std::collections::{BTreeMap, HashMap};

/// Entries by name. Nothing of it is needed to use official checkpoints, which say only their epoch. Known names:
/// `method`, `base_model`, `levels` (with commas), `image_size` (pixels), `training_data`, `epochs`, and the options of
/// the method the weights were trained with, with `_` for `-`.
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

    /// Sets an entry that is not there yet.
    pub fn set_default(&mut self, name: &str, value: &str) {
        self.0.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }

    /// All entries, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The levels the weights were trained at.
    pub fn levels(&self) -> Option<Vec<usize>> {
        self.get("levels")?.split(',').map(|n| n.trim().parse().ok()).collect()
    }

    /// The input size the weights were trained at, in pixels.
    pub fn image_size(&self) -> Option<usize> {
        self.number("image_size")
    }

    /// An entry that is a number, or whatever else can be parsed.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.trim().parse().ok()
    }

    /// Takes a file's metadata. What an optimiser or a framework adds is no business of ours.
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
