//! A loaded method: its inputs and its operations.

use std::sync::{Arc, Mutex, OnceLock};

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::options::{self, OptionValues};
use super::{Method, Trained, TrainedError, Trust, check_levels, quarters};
use crate::anchors::{ANYTHING, AnchorCache, ClassName, PromptSet, Representative};
use crate::clip::positions::Resampling;
use crate::clip::{Activation, Checkpoint, Compute, Precision, VisionTower};
use crate::image::{Chain, Fit, Picture, Preprocess};
use crate::map::{Evidence, MapRange, Smoothing};
use crate::progress::Progress;
use crate::{Error, Provenance, Result};

/// Everything needed to load a method.
#[derive(Clone)]
#[non_exhaustive]
pub struct Setup {
    /// The method.
    pub method: &'static Method,
    /// The CLIP model.
    pub clip: Arc<Checkpoint>,
    /// The method's trained weights, if any.
    pub trained: Option<Arc<Trained>>,
    /// The values of the method's options.
    pub options: OptionValues,
    /// Side of the model's input square, in pixels; `None`: the size in training.
    pub image_size: Option<usize>,
    /// How a picture is made square, if given.
    pub fit: Option<Fit>,
    /// The towers' activation, if given.
    pub activation: Option<Activation>,
    /// The activation in the training of the model's weights, if it is known to differ from the
    /// configuration.
    pub trained_activation: Option<Activation>,
    /// The device.
    pub device: Device,
    /// The number type of the image tower. Text is always encoded in 32-bit floats.
    pub precision: Precision,
    /// The cache for anchors.
    pub cache: AnchorCache,
    /// Whether the encoding of prompts shows its progress.
    pub progress: Progress,
}

impl Setup {
    /// The largest side of a model's input square, in pixels: attention over the patches of a larger square
    /// needs more memory than machines have.
    pub const LARGEST_IMAGE: usize = 4096;

    /// A setup with default values, on the CPU.
    pub fn new(method: &'static Method, clip: impl Into<Arc<Checkpoint>>) -> Self {
        Self {
            method,
            clip: clip.into(),
            trained: None,
            options: OptionValues::default(),
            image_size: None,
            fit: None,
            activation: None,
            trained_activation: None,
            device: Device::Cpu,
            precision: Precision::default(),
            cache: AnchorCache::disabled(),
            progress: Progress::Silent,
        }
    }

    /// The method's trained weights.
    ///
    /// # Errors
    /// There are no trained weights.
    pub fn trained(&self) -> Result<&Trained> {
        Ok(self.trained.as_deref().ok_or(TrainedError::Missing { method: self.method.name })?)
    }

    /// The compared levels (1-based numbers of blocks): those given, else those in the training of the
    /// weights, else the ends of the tower's quarters. `expected`: the number of levels in training.
    ///
    /// # Errors
    /// The tower has no such level, or the number of levels differs from training.
    pub fn levels(&self, expected: Option<usize>) -> Result<Vec<usize>> {
        let layers = self.clip.config().vision.layers;
        let asked = self.options.list(&options::LEVELS)?;
        let levels = match asked.or_else(|| self.trained.as_ref().and_then(|t| t.header().levels())) {
            Some(levels) => check_levels(&levels, layers)?,
            None => quarters(layers),
        };
        match expected {
            Some(trained) if trained != levels.len() => Err(Error::Setting(format!(
                "the adapters were trained for {trained} levels, but {} are compared ({levels:?})",
                levels.len()
            ))),
            _ => Ok(levels),
        }
    }

    /// Side of the model's input square: as given, else as in the training of the weights, else `native`.
    ///
    /// # Errors
    /// The side exceeds [`Setup::LARGEST_IMAGE`].
    pub fn image_size(&self, native: usize) -> Result<usize> {
        let trained = self.trained.as_ref().and_then(|t| t.header().image_size());
        match self.image_size.or(trained).unwrap_or(native) {
            size if size > Self::LARGEST_IMAGE => Err(Error::Setting(format!(
                "an image size of {size} is too large: at most {} pixels are allowed",
                Self::LARGEST_IMAGE
            ))),
            size => Ok(size),
        }
    }

    /// The towers' activation: as given, else the method's own, else the one used in training.
    pub fn activation(&self, own: Option<Activation>) -> Activation {
        let trained = self.trained_activation.unwrap_or(self.clip.config().activation);
        self.activation.or(own).unwrap_or(trained)
    }

    /// The prompt ensemble: as given, else the method's.
    ///
    /// # Errors
    /// The ensemble does not exist or cannot be read.
    pub fn prompts(&self) -> Result<PromptSet> {
        let named: Option<String> = self.options.get(&options::PROMPTS)?;
        let name = named.as_deref().or(self.method.prompts).unwrap_or("clip-ad");
        Ok(PromptSet::load(name)?)
    }

    /// The class as the model's prompts name it: with [`ANYTHING`] if the model does not know names of things, else
    /// unchanged. The domain stays.
    pub fn named(&self, class: &ClassName) -> ClassName {
        let known = self.clip.knows_class_words();
        let text = if known { class.text.clone() } else { ANYTHING.to_owned() };
        ClassName { text, domain: class.domain }
    }

    /// How sentences are combined into one anchor: as given, else the mean.
    ///
    /// # Errors
    /// A parameter was given that does not apply.
    pub fn representative(&self) -> Result<Representative> {
        options::representative(&self.options)
    }

    /// The preprocessing of pictures; `fit`: the method's own way to make them square.
    pub fn preprocess(&self, size: usize, chain: Chain, fit: Fit) -> Preprocess {
        let fit = self.fit.unwrap_or(fit);
        let normalisation = self.clip.config().normalisation;
        let patch = self.clip.config().vision.patch_size;
        Preprocess { size, patch, mean: normalisation.mean, std: normalisation.std, fit, chain }
    }
}

/// A method with its weights, shared by classes.
pub trait Model: Send + Sync {
    /// The preprocessing of pictures.
    fn preprocess(&self) -> &Preprocess;

    /// Patches along one side of the square.
    fn grid(&self) -> usize;

    /// The method for one class, with its anchors or their sources. Reads the text tower if needed.
    ///
    /// # Errors
    /// Weights cannot be read, or the class text gives no anchors.
    fn class(&self, class: &ClassName) -> Result<Arc<dyn ClassModel>>;

    /// Changed copies of a reference picture, which are remembered like it.
    fn copies(&self, picture: &Picture) -> Vec<Picture> {
        let _ = picture;
        Vec::new()
    }

    /// Loads the weights needed for pictures; otherwise the first picture loads them.
    ///
    /// # Errors
    /// Weights cannot be read.
    fn prepare(&self) -> Result<()>;

    /// Records everything that scores depend on, except the model's weights, the picture and the class.
    fn provenance(&self, into: &mut Provenance);
}

/// A method with its weights, ready for pictures of one class.
pub trait ClassModel: Send + Sync {
    /// The evidence in one picture, `[1, 3, S, S]`, preprocessed with [`Model::preprocess`].
    ///
    /// # Errors
    /// The picture has another size, or weights cannot be read.
    fn look(&self, picture: &Tensor) -> Result<Evidence>;

    /// The pixels of the final map.
    fn canvas(&self) -> Canvas {
        Canvas::Input
    }

    /// The smoothing of the map.
    fn smoothing(&self) -> Smoothing;

    /// The score, 0..1, from the method's value for the whole picture and the maximum of the final map. It
    /// depends only on the picture.
    fn score(&self, image: Option<f32>, map_max: f32) -> f32;

    /// The probability of "abnormal" for a value of the final map, 0..1, comparable between pictures.
    fn probability(&self, map_value: f32) -> f32;

    /// The scores of the official evaluation for the pictures of a class, in its own arithmetic: the value of each
    /// picture, unless the method combines them.
    fn official_scores(&self, pictures: &[Components]) -> Vec<f32> {
        pictures.iter().map(|c| c.image.unwrap_or(f32::NAN)).collect()
    }

    /// The levels of good parts and of clear damage in probabilities of maps, if the method measures them itself.
    fn levels(&self) -> Option<MapRange> {
        None
    }

    /// A caution about the class text, for people: its two anchors differ much less than those of
    /// [`ANYTHING`]. It changes no score.
    fn caution(&self) -> Option<&str> {
        None
    }

    /// The same method, which also compares with these pictures, `[1, 3, H, W]` each: of good parts, or with
    /// [`Scope::Folder`](super::Scope) all pictures of the folder.
    ///
    /// # Errors
    /// The method does not use them, or a picture cannot be read.
    fn with_references(
        &self,
        pictures: &mut dyn Iterator<Item = Result<Tensor>>,
        trust: Trust,
    ) -> Result<Arc<dyn ClassModel>> {
        let _ = (pictures, trust);
        Err(Error::Setting("this method does not compare with reference pictures".to_owned()))
    }
}

/// The pixels of a method's final map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canvas {
    /// Those of the tower's input.
    Input,
    /// Those of the picture.
    Picture,
}

/// The components of a score.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Components {
    /// The method's official value for the whole picture, in its own units; `None` if the method has no such
    /// value. See [`Method::image_value`].
    pub image: Option<f32>,
    /// The minimum of the final map.
    pub map_min: f32,
    /// The maximum of the final map.
    pub map_max: f32,
    /// The mean of the final map.
    pub map_mean: f32,
}

/// The image tower of a model, loaded on first use: until then only the text tower is in memory.
pub struct ImageTower {
    clip: Arc<Checkpoint>,
    image_size: usize,
    activation: Activation,
    resampling: Resampling,
    compute: Compute,
    tower: OnceLock<VisionTower>,
    reading: Mutex<()>,
}

impl ImageTower {
    /// The tower of a setup's model, not yet loaded.
    pub fn new(setup: &Setup, image_size: usize, activation: Activation) -> Self {
        Self {
            clip: Arc::clone(&setup.clip),
            image_size,
            activation,
            resampling: Resampling::default(),
            compute: Compute::new(&setup.device, setup.precision),
            tower: OnceLock::new(),
            reading: Mutex::new(()),
        }
    }

    /// The tower with position embeddings resampled in another way.
    pub fn resampling(mut self, resampling: Resampling) -> Self {
        self.resampling = resampling;
        self
    }

    /// The tower, loaded on first use.
    ///
    /// # Errors
    /// The weights cannot be read.
    pub fn get(&self) -> Result<&VisionTower> {
        if let Some(tower) = self.tower.get() {
            return Ok(tower);
        }
        let _reading = self.reading.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(tower) = self.tower.get() {
            return Ok(tower);
        }
        let tower = self.clip.vision(self.image_size, self.activation, &self.compute)?;
        let tower = tower.with_resampling(self.resampling)?;
        Ok(self.tower.get_or_init(|| tower))
    }

    /// Patches along one side of the square.
    pub fn grid(&self) -> usize {
        self.clip.config().vision.grid(self.image_size)
    }
}
