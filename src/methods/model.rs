//! A loaded method: what it is loaded from, and what it does.

use std::sync::{Arc, Mutex, OnceLock};

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::options::{self, OptionValues};
use super::{Method, Trained, check_levels, quarters};
use crate::anchors::{AnchorCache, ClassName, PromptSet, Representative};
use crate::clip::{Activation, Checkpoint, Compute, Precision, VisionTower};
use crate::image::{Chain, Fit, Preprocess};
use crate::map::{Evidence, Smoothing};
use crate::progress::Progress;
use crate::{Error, Provenance, Result};

/// What a method is loaded from.
#[derive(Clone)]
#[non_exhaustive]
pub struct Setup {
    /// The method.
    pub method: &'static Method,
    /// The CLIP model.
    pub clip: Arc<Checkpoint>,
    /// The method's trained weights, if it has any.
    pub trained: Option<Arc<Trained>>,
    /// What was said for the method's options.
    pub options: OptionValues,
    /// Side of the square the model looks at, in pixels; `None`: what the weights were trained at.
    pub image_size: Option<usize>,
    /// How a picture is made square.
    pub fit: Fit,
    /// The towers' activation, if one was asked for.
    pub activation: Option<Activation>,
    /// The activation the model's weights were trained with, where that is known better than from its configuration.
    pub trained_activation: Option<Activation>,
    /// Where everything is computed.
    pub device: Device,
    /// The numbers the image tower computes with. Text is always encoded in 32-bit floats.
    pub precision: Precision,
    /// Where anchors are kept.
    pub cache: AnchorCache,
    /// Whether encoding prompts shows its progress.
    pub progress: Progress,
}

impl Setup {
    /// The largest side of the square a model can look at, in pixels: attention over a grid of more than a few thousand
    /// patches needs more memory than any machine has.
    pub const LARGEST_IMAGE: usize = 4096;

    /// A setup with everything at its default, on the CPU.
    pub fn new(method: &'static Method, clip: impl Into<Arc<Checkpoint>>) -> Self {
        Self {
            method,
            clip: clip.into(),
            trained: None,
            options: OptionValues::default(),
            image_size: None,
            fit: Fit::default(),
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
    /// There are none.
    pub fn trained(&self) -> Result<&Trained> {
        self.trained.as_deref().ok_or_else(|| {
            Error::Setting(format!(
                "--method {} needs trained adapters: name them with --adapters",
                self.method.name
            ))
        })
    }

    /// The levels (1-based numbers of blocks) to compare: those that were asked for, else those the weights were
    /// trained at, else the ends of the tower's quarters. `expected`: how many the weights were trained for.
    ///
    /// # Errors
    /// A level the tower does not have, or another number of levels than was trained.
    pub fn levels(&self, expected: Option<usize>) -> Result<Vec<usize>> {
        let layers = self.clip.config().vision.layers;
        let asked = self.options.list(&options::LEVELS)?;
        let levels = match asked.or_else(|| self.trained.as_ref().and_then(|t| t.header().levels())) {
            Some(levels) => check_levels(&levels, layers)?,
            None => quarters(layers),
        };
        match expected {
            Some(trained) if trained != levels.len() => Err(Error::Setting(format!(
                "the adapters were trained for {trained} levels, these are {} ({levels:?}): name theirs with --levels",
                levels.len()
            ))),
            _ => Ok(levels),
        }
    }

    /// Side of the square the model looks at: as asked for, else as the weights were trained, else `native`.
    ///
    /// # Errors
    /// More pixels than any machine has memory for.
    pub fn image_size(&self, native: usize) -> Result<usize> {
        let trained = self.trained.as_ref().and_then(|t| t.header().image_size());
        match self.image_size.or(trained).unwrap_or(native) {
            size if size > Self::LARGEST_IMAGE => Err(Error::Setting(format!(
                "an image size of {size} is too large: at most {} pixels are looked at",
                Self::LARGEST_IMAGE
            ))),
            size => Ok(size),
        }
    }

    /// The towers' activation: as asked for, else the method's own, else what the weights were trained with.
    pub fn activation(&self, own: Option<Activation>) -> Activation {
        let trained = self.trained_activation.unwrap_or(self.clip.config().activation);
        self.activation.or(own).unwrap_or(trained)
    }

    /// The prompt ensemble: as asked for, else the method's.
    ///
    /// # Errors
    /// An ensemble that does not exist or cannot be read.
    pub fn prompts(&self) -> Result<PromptSet> {
        let named: Option<String> = self.options.get(&options::PROMPTS)?;
        let name = named.as_deref().or(self.method.prompts).unwrap_or("clip-ad");
        Ok(PromptSet::load(name)?)
    }

    /// How many sentences become one anchor: as asked for, else the mean.
    ///
    /// # Errors
    /// A parameter that the chosen one does not have.
    pub fn representative(&self) -> Result<Representative> {
        options::representative(&self.options)
    }

    /// What is done to every picture before the tower.
    pub fn preprocess(&self, size: usize, chain: Chain) -> Preprocess {
        let normalisation = self.clip.config().normalisation;
        Preprocess { size, mean: normalisation.mean, std: normalisation.std, fit: self.fit, chain }
    }
}

/// A method with its weights. Classes share it.
pub trait Model: Send + Sync {
    /// What is done to every picture.
    fn preprocess(&self) -> &Preprocess;

    /// Patches along one side of the square.
    fn grid(&self) -> usize;

    /// The same for one class: its anchors, or whatever they are made of. Reads the text tower where it is needed.
    ///
    /// # Errors
    /// Weights that cannot be read, or words that give no anchors.
    fn class(&self, class: &ClassName) -> Result<Arc<dyn ClassModel>>;

    /// Reads what looking at pictures needs. Without it the first picture does.
    ///
    /// # Errors
    /// Weights that cannot be read.
    fn prepare(&self) -> Result<()>;

    /// Notes everything that scores depend on besides the model's weights, the picture and the class.
    fn provenance(&self, into: &mut Provenance);
}

/// A method with its weights, ready to look at pictures of one class.
pub trait ClassModel: Send + Sync {
    /// What it finds in one picture, `[1, 3, S, S]`, as [`Model::preprocess`] gives it.
    ///
    /// # Errors
    /// A picture of another size, or weights that cannot be read.
    fn look(&self, picture: &Tensor) -> Result<Evidence>;

    /// How the map is smoothed.
    fn smoothing(&self) -> Smoothing;

    /// The score, 0..1, from the method's value for the picture as a whole and the highest value of the final map. It
    /// depends on nothing but the picture.
    fn score(&self, image: Option<f32>, map_max: f32) -> f32;

    /// The probability of "abnormal" that a value of the final map stands for, 0..1, comparable from picture to picture.
    fn probability(&self, map_value: f32) -> f32;

    /// The scores the official evaluation gives the pictures of a class, in its own arithmetic.
    fn official_scores(&self, pictures: &[Components]) -> Vec<f32>;

    /// The same, which also compares with pictures of good parts, each `[1, 3, S, S]`.
    ///
    /// # Errors
    /// A method without a use for them, or pictures of another size.
    fn with_references(&self, pictures: &[Tensor]) -> Result<Arc<dyn ClassModel>> {
        let _ = pictures;
        Err(Error::Setting("this method does not compare with reference pictures".to_owned()))
    }
}

/// The parts a score is made of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Components {
    /// The method's own official value for the picture as a whole, in its units; `None` for a method without one. See
    /// [`Method::image_value`].
    pub image: Option<f32>,
    /// The least value of the final map.
    pub map_min: f32,
    /// The highest value of the final map.
    pub map_max: f32,
    /// The mean value of the final map.
    pub map_mean: f32,
}

/// The image tower of a model, read when it is first needed: until then only the text tower is in memory.
pub struct ImageTower {
    clip: Arc<Checkpoint>,
    image_size: usize,
    activation: Activation,
    compute: Compute,
    tower: OnceLock<VisionTower>,
    reading: Mutex<()>,
}

impl ImageTower {
    /// The tower of a setup's model; nothing is read yet.
    pub fn new(setup: &Setup, image_size: usize, activation: Activation) -> Self {
        Self {
            clip: Arc::clone(&setup.clip),
            image_size,
            activation,
            compute: Compute::new(&setup.device, setup.precision),
            tower: OnceLock::new(),
            reading: Mutex::new(()),
        }
    }

    /// The tower.
    ///
    /// # Errors
    /// Weights that cannot be read.
    pub fn get(&self) -> Result<&VisionTower> {
        if let Some(tower) = self.tower.get() {
            return Ok(tower);
        }
        let _reading = self.reading.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(tower) = self.tower.get() {
            return Ok(tower);
        }
        let tower = self.clip.vision(self.image_size, self.activation, &self.compute)?;
        Ok(self.tower.get_or_init(|| tower))
    }

    /// Patches along one side of the square.
    pub fn grid(&self) -> usize {
        self.clip.config().vision.grid(self.image_size)
    }
}
