//! Which model a command uses.

use std::path::{Path, PathBuf};

use aaclip::clip::Activation;
use aaclip::weights::hub::Hub;
use aaclip::weights::registry::{Registry, RegistryEntry};
use aaclip::{Error, Result};

/// A model on this machine.
pub struct Chosen {
    /// As results name it: the registry's name, or the folder as it was typed.
    pub name: String,
    pub dir: PathBuf,
    /// The activation its weights were trained with, where the registry knows better than the configuration.
    pub activation: Option<Activation>,
}

impl Chosen {
    fn published(entry: &RegistryEntry, dir: PathBuf) -> Self {
        Self { name: entry.name.clone(), dir, activation: Some(entry.activation) }
    }
}

/// Finds the model of `--model`; without one, the best of the registry that has been downloaded.
///
/// # Errors
/// A name that is unknown or not downloaded: nothing is ever fetched from here.
pub fn resolve(model: Option<&str>) -> Result<Chosen> {
    if let Some(model) = model
        && Path::new(model).is_dir()
    {
        return Ok(Chosen { name: model.to_owned(), dir: model.into(), activation: None });
    }
    let hub = Hub::from_env()?;
    let registry = Registry::load()?;
    let Some(model) = model else { return default_model(&registry, &hub) };
    let entry = registry.find(model)?;
    Ok(Chosen::published(entry, hub.require(entry)?))
}

fn default_model(registry: &Registry, hub: &Hub) -> Result<Chosen> {
    let found = registry.entries().iter().find_map(|e| Some(Chosen::published(e, hub.locate(e)?)));
    found.ok_or_else(|| {
        Error::Setting(
            "no model: name one with --model (a folder, or a name of `aaclip models list`), \
             or download one with `aaclip models pull ViT-B-16-plus-240`"
                .to_owned(),
        )
    })
}
