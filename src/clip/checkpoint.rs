//! An open model folder: configuration and tensors, checked against each other.

use std::path::{Path, PathBuf};

use super::compute::Compute;
use super::config::{Activation, ClipConfig};
use super::fingerprint::{self, fingerprint};
use super::{SpecialTokens, TextTower, Tokenizer, VisionTower, parameters};
use crate::Result;
use crate::weights::{self, ClipTensors, builtin};

/// A CLIP model, on disk or built in. Opening it reads only headers; the values of a tower are read when the
/// tower is loaded.
pub struct Checkpoint {
    /// `None` for the built-in model.
    dir: Option<PathBuf>,
    config: ClipConfig,
    tensors: ClipTensors,
}

impl Checkpoint {
    /// Opens a model folder with a configuration and weights in any supported format.
    ///
    /// # Errors
    /// Files are missing, damaged, or do not match each other.
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
        Ok(Self { dir: Some(dir.to_owned()), config, tensors })
    }

    /// Opens the small model built into the program.
    ///
    /// # Errors
    /// The embedded files are invalid, which a complete build excludes.
    pub fn builtin() -> Result<Self> {
        let config = ClipConfig::from_text(&builtin::path("open_clip_config.json"), builtin::CONFIG)?;
        let tensors = ClipTensors::new(builtin::model()?, &parameters(&config))?;
        Ok(Self { dir: None, config, tensors })
    }

    /// Whether the text tower knows names of things. The built-in model's does not: it takes them for words about the
    /// state of the part.
    pub fn knows_class_words(&self) -> bool {
        self.dir.is_some()
    }

    /// The weights file.
    pub fn weights_file(&self) -> &Path {
        self.tensors.store().path()
    }

    /// The model's configuration.
    pub fn config(&self) -> &ClipConfig {
        &self.config
    }

    /// A cheap fingerprint of the model for cache keys; it changes with every change of the folder's files.
    ///
    /// # Errors
    /// The folder or the weights cannot be read.
    pub fn fingerprint(&self) -> Result<String> {
        match &self.dir {
            Some(dir) => fingerprint(dir, self.weights_file()).map_err(|e| crate::Error::io("read", dir, e)),
            None => self.identity(),
        }
    }

    /// A hash of the model's content: equal for copies in other folders and on other machines.
    ///
    /// # Errors
    /// The weights cannot be read.
    pub fn identity(&self) -> Result<String> {
        let config = format!("{:?}", self.config);
        match &self.dir {
            Some(_) => fingerprint::identity(&config, self.weights_file())
                .map_err(|e| crate::Error::io("read", self.weights_file(), e)),
            None => Ok(fingerprint::identity_of(&config, builtin::digest())),
        }
    }

    /// Loads the image tower for square inputs of `image_size` pixels.
    ///
    /// # Errors
    /// Errors of [`VisionTower::load`].
    pub fn vision(
        &self,
        image_size: usize,
        activation: Activation,
        compute: &Compute,
    ) -> Result<VisionTower> {
        VisionTower::load(&self.config, image_size, activation, &self.tensors, compute)
    }

    /// Loads the text tower.
    ///
    /// # Errors
    /// Errors of [`TextTower::load`].
    pub fn text(&self, activation: Activation, compute: &Compute) -> Result<TextTower> {
        TextTower::load(&self.config, activation, &self.tensors, compute)
    }

    /// The text tower's tokenizer.
    ///
    /// # Errors
    /// The model's `tokenizer.json` is invalid.
    pub fn tokenizer(&self, special: SpecialTokens) -> Result<Tokenizer> {
        let length = self.config.text.context_length;
        Ok(match &self.dir {
            Some(dir) => Tokenizer::for_model(dir, length, special)?,
            None => Tokenizer::from_bytes(builtin::path("tokenizer.json"), builtin::TOKENIZER, length)?,
        })
    }
}
