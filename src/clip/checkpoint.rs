//! A model folder, opened: configuration and tensors, checked against each other.

use std::path::{Path, PathBuf};

use candle_core::Device;

use super::config::{Activation, ClipConfig};
use super::fingerprint::{self, fingerprint};
use super::{SpecialTokens, TextTower, Tokenizer, VisionTower, parameters};
use crate::Result;
use crate::weights::{self, ClipTensors};

/// A CLIP model on disk. Opening one reads headers only; a tower's values are read when it is asked for.
pub struct Checkpoint {
    dir: PathBuf,
    config: ClipConfig,
    tensors: ClipTensors,
}

impl Checkpoint {
    /// Opens the model of a folder: a configuration and weights in any supported format.
    ///
    /// # Errors
    /// Files that are missing, damaged, or do not belong together.
    pub fn open(dir: &Path) -> Result<Self> {
        if !dir.is_dir() {
            let source = std::io::Error::from(if dir.exists() {
                std::io::ErrorKind::NotADirectory
            } else {
                std::io::ErrorKind::NotFound
            });
            return Err(crate::Error::io("open the model folder", dir, source));
        }
        let config = ClipConfig::from_dir(dir)?;
        let store = weights::open(&weights::weights_file(dir)?)?;
        let tensors = ClipTensors::new(store, &parameters(&config))?;
        Ok(Self { dir: dir.to_owned(), config, tensors })
    }

    /// The model folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The weights file.
    pub fn weights_file(&self) -> &Path {
        self.tensors.store().path()
    }

    /// The model's configuration.
    pub fn config(&self) -> &ClipConfig {
        &self.config
    }

    /// A cheap identity of the model for cache keys: it changes with any change of the folder's files.
    ///
    /// # Errors
    /// The folder or the weights cannot be read.
    pub fn fingerprint(&self) -> Result<String> {
        fingerprint(&self.dir, self.weights_file()).map_err(|e| crate::Error::io("read", &self.dir, e))
    }

    /// What the model computes with, by content: equal for copies of it in other folders and on other machines.
    ///
    /// # Errors
    /// The weights cannot be read.
    pub fn identity(&self) -> Result<String> {
        fingerprint::identity(&format!("{:?}", self.config), self.weights_file())
            .map_err(|e| crate::Error::io("read", self.weights_file(), e))
    }

    /// Reads the image tower for square inputs of `image_size` pixels.
    ///
    /// # Errors
    /// As [`VisionTower::load`].
    pub fn vision(&self, image_size: usize, activation: Activation, device: &Device) -> Result<VisionTower> {
        VisionTower::load(&self.config, image_size, activation, &self.tensors, device)
    }

    /// Reads the text tower.
    ///
    /// # Errors
    /// As [`TextTower::load`].
    pub fn text(&self, activation: Activation, device: &Device) -> Result<TextTower> {
        TextTower::load(&self.config, activation, &self.tensors, device)
    }

    /// The tokenizer that belongs to the text tower.
    ///
    /// # Errors
    /// A `tokenizer.json` that cannot be used.
    pub fn tokenizer(&self, special: SpecialTokens) -> Result<Tokenizer> {
        Ok(Tokenizer::for_model(&self.dir, self.config.text.context_length, special)?)
    }
}
