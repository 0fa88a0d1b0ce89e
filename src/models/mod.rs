//! Models by name: the registry, the local cache of a Hugging Face hub, and downloads into it.
//!
//! Without the feature `hub` models in the cache are still found; only [`Hub::pull`] is missing.

#[cfg(feature = "hub")]
mod again;
mod cache;
#[cfg(feature = "hub")]
mod client;
mod digests;
mod error;
mod hub;
#[cfg(feature = "hub")]
mod proxy;
mod registry;
#[cfg(feature = "hub")]
mod transfer;

use std::path::{Path, PathBuf};

use crate::Result;
use crate::clip::{Activation, Checkpoint};
use crate::weights::builtin;
pub use error::HubError;
pub use hub::{FileState, Hub};
pub use registry::{Registry, RegistryEntry, RemoteFile};

/// A model on this machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Its name in results: the registry's name, or the folder or file as given.
    pub name: String,
    /// Its folder or weights file; `None` for the built-in model.
    pub path: Option<PathBuf>,
    /// The activation its weights were trained with, if the registry overrides the configuration.
    pub activation: Option<Activation>,
}

impl Model {
    /// The built-in model.
    pub fn builtin() -> Self {
        Self { name: builtin::NAME.to_owned(), path: None, activation: None }
    }

    /// Opens it.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn open(&self) -> Result<Checkpoint> {
        match &self.path {
            Some(path) => Checkpoint::open(path),
            None => Checkpoint::builtin(),
        }
    }

    fn published(entry: &RegistryEntry, dir: PathBuf) -> Self {
        Self { name: entry.name.clone(), path: Some(dir), activation: Some(entry.activation) }
    }
}

/// Finds the model of a name: a folder, a weights file, `builtin`, or a name of the registry that has been
/// downloaded. Without a name, the first model of the registry that has been downloaded, else the built-in model.
///
/// # Errors
/// The registry is invalid, or the name is unknown or not downloaded: this function never downloads.
pub fn resolve(name: Option<&str>) -> Result<Model> {
    let Some(name) = name else {
        let registry = Registry::load()?;
        // Without a cache no published model can have been downloaded.
        let Ok(hub) = Hub::from_env() else { return Ok(Model::builtin()) };
        let found = registry.entries().iter().find_map(|e| Some(Model::published(e, hub.locate(e)?)));
        return Ok(found.unwrap_or_else(Model::builtin));
    };
    let path = Path::new(name);
    if path.is_dir() || path.is_file() {
        return Ok(Model { name: name.to_owned(), path: Some(name.into()), activation: None });
    }
    if name == builtin::NAME {
        return Ok(Model::builtin());
    }
    let registry = Registry::load()?;
    let entry = registry.find(name)?;
    Ok(Model::published(entry, Hub::from_env()?.require(entry)?))
}

/// Whether a text is safe as part of a path and of an address: it cannot lead elsewhere.
fn is_plain_name(text: &str) -> bool {
    let is_legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !text.is_empty() && text.len() <= 128 && !text.starts_with('.') && text.bytes().all(is_legal)
}
