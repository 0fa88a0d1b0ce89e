//! An open model: configuration and tensors, checked against each other.

use std::path::{Path, PathBuf};

use super::compute::Compute;
use super::config::{Activation, ClipConfig};
use super::fingerprint::{self, fingerprint};
use super::{SpecialTokens, TextTower, Tokenizer, VisionTower, parameters};
use crate::Result;
use crate::files::folder_of;
use crate::weights::{self, ClipTensors, WeightsError, builtin};

/// A CLIP model, on disk or built in. Opening it reads only headers; the values of a tower are read when the
/// tower is loaded.
pub struct Checkpoint {
    place: Place,
    config: ClipConfig,
    tensors: ClipTensors,
}

/// Where a model is.
enum Place {
    Builtin,
    /// A folder of its own.
    Folder(PathBuf),
    /// A weights file in this folder, which may have other files.
    File(PathBuf),
}

impl Checkpoint {
    /// Opens a model folder with a configuration and weights in any supported format, or a weights file alone. The
    /// configuration of a file is the `open_clip_config.json` beside it (under transformers' names also the
    /// `config.json`), else its shapes imply it.
    ///
    /// # Errors
    /// Files are missing, damaged, or do not match each other; a file is not a CLIP model.
    pub fn open(path: &Path) -> Result<Self> {
        if path.is_file() {
            return Self::open_file(path);
        }
        if !path.is_dir() {
            return Err(crate::Error::io("open the model", path, std::io::ErrorKind::NotFound.into()));
        }
        let config = ClipConfig::from_dir(path)?;
        let store = weights::open(&weights::weights_file(path)?)?;
        let tensors = ClipTensors::new(store, &parameters(&config))?;
        Ok(Self { place: Place::Folder(path.to_owned()), config, tensors })
    }

    fn open_file(path: &Path) -> Result<Self> {
        let tensors = ClipTensors::unchecked(weights::open(path)?);
        // Of any file, so that an error names what the file is.
        let inferred = ClipConfig::from_tensors(&tensors);
        if let Err(e @ WeightsError::NotClip { .. }) = inferred {
            return Err(e.into());
        }
        let dir = folder_of(path).to_owned();
        let names = ["open_clip_config.json", "config.json"];
        let names = if tensors.is_hugging_face() { &names[..] } else { &names[..1] };
        let config = match ClipConfig::from_first(&dir, names)? {
            Some(config) => config,
            None => inferred?,
        };
        tensors.check_all(&parameters(&config))?;
        Ok(Self { place: Place::File(dir), config, tensors })
    }

    /// Opens the small model built into the program.
    ///
    /// # Errors
    /// The embedded files are invalid, which a complete build excludes.
    pub fn builtin() -> Result<Self> {
        let config = ClipConfig::from_text(&builtin::path("open_clip_config.json"), builtin::CONFIG)?;
        let tensors = ClipTensors::new(builtin::model()?, &parameters(&config))?;
        Ok(Self { place: Place::Builtin, config, tensors })
    }

    /// Whether the text tower knows names of things. The built-in model's does not: it takes them for words about the
    /// state of the part.
    pub fn knows_class_words(&self) -> bool {
        !matches!(self.place, Place::Builtin)
    }

    /// The weights file.
    pub fn weights_file(&self) -> &Path {
        self.tensors.store().path()
    }

    /// The model's configuration.
    pub fn config(&self) -> &ClipConfig {
        &self.config
    }

    /// A cheap fingerprint of the model for cache keys; it changes with every change of the model's files.
    ///
    /// # Errors
    /// The folder or the weights cannot be read.
    pub fn fingerprint(&self) -> Result<String> {
        let weights = self.weights_file();
        match &self.place {
            Place::Builtin => self.identity(),
            Place::Folder(dir) => {
                fingerprint(dir, None, weights).map_err(|e| crate::Error::io("read", dir, e))
            }
            Place::File(dir) => {
                let config = format!("{:?}", self.config);
                let used = [weights.file_name().unwrap_or_default(), "tokenizer.json".as_ref()];
                fingerprint(dir, Some((&used, &config)), weights)
                    .map_err(|e| crate::Error::io("read", weights, e))
            }
        }
    }

    /// A hash of the model's content: equal for copies in other folders and on other machines.
    ///
    /// # Errors
    /// The weights cannot be read.
    pub fn identity(&self) -> Result<String> {
        let config = format!("{:?}", self.config);
        match &self.place {
            Place::Builtin => Ok(fingerprint::identity_of(&config, builtin::digest())),
            Place::Folder(_) | Place::File(_) => fingerprint::identity(&config, self.weights_file())
                .map_err(|e| crate::Error::io("read", self.weights_file(), e)),
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
        Ok(match &self.place {
            Place::Folder(dir) | Place::File(dir) => Tokenizer::for_model(dir, length, special)?,
            Place::Builtin => {
                Tokenizer::from_bytes(builtin::path("tokenizer.json"), builtin::TOKENIZER, length)?
            }
        })
    }
}
