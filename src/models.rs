//! Which model a name means.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::clip::{Activation, Checkpoint};
use crate::weights::builtin;
use crate::weights::hub::Hub;
use crate::weights::registry::{Registry, RegistryEntry};

/// A model on this machine.
pub struct Model {
    /// As results name it: the registry's name, or the folder as it was typed.
    pub name: String,
    /// `None` for the model that comes with the program.
    pub dir: Option<PathBuf>,
    /// The activation its weights were trained with, where the registry knows better than the configuration.
    pub activation: Option<Activation>,
}

impl Model {
    fn builtin() -> Self {
        Self { name: builtin::NAME.to_owned(), dir: None, activation: None }
    }

    /// Opens it.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn open(&self) -> Result<Checkpoint> {
        match &self.dir {
            Some(dir) => Checkpoint::open(dir),
            None => Checkpoint::builtin(),
        }
    }

    fn published(entry: &RegistryEntry, dir: PathBuf) -> Self {
        Self { name: entry.name.clone(), dir: Some(dir), activation: Some(entry.activation) }
    }
}

/// Finds the model of `--model`; without one, the best of the registry that has been downloaded, else the one
/// that comes with the program.
///
/// # Errors
/// A name that is unknown or not downloaded: nothing is ever fetched from here.
pub fn resolve(model: Option<&str>) -> Result<Model> {
    if let Some(model) = model
        && Path::new(model).is_dir()
    {
        return Ok(Model { name: model.to_owned(), dir: Some(model.into()), activation: None });
    }
    if model == Some(builtin::NAME) {
        return Ok(Model::builtin());
    }
    let hub = Hub::from_env()?;
    let registry = Registry::load()?;
    let Some(model) = model else { return default_model(&registry, &hub) };
    let entry = registry.find(model)?;
    Ok(Model::published(entry, hub.require(entry)?))
}

fn default_model(registry: &Registry, hub: &Hub) -> Result<Model> {
    let found = registry.entries().iter().find_map(|e| Some(Model::published(e, hub.locate(e)?)));
    Ok(found.unwrap_or_else(Model::builtin))
}
