//! Training of methods: the table's entry, and the inputs of every trainer.

mod data;
mod folder;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use candle_core::Tensor;

use super::options::{self, MethodOption, OptionValues};
use super::trained::Header;
use super::{Setup, Trained};
use crate::anchors::{AnchorCache, AnchorRequest, PlainText, Representative, SentenceEncoder, text_anchors};
use crate::clip::{Activation, Compute, SpecialTokens, VisionTower};
use crate::image::{Chain, DecodeOptions, Fit, Preprocess};
use crate::progress::Progress;
use crate::train::{Adam, Augmentation, Batches, Ended, Run, Stage, TrainingFidelity, TrainingState};
use crate::{Error, Provenance, Result};

pub use data::{TrainingData, TrainingSource};
pub use folder::RunFolder;

/// The trainer of a method.
#[derive(Debug)]
pub struct Trainer {
    /// Its description in one line.
    pub about: &'static str,
    /// The options of training, in addition to those common to all trainers.
    pub options: &'static [&'static MethodOption],
    /// The official code's seed.
    pub seed: u64,
    /// The side of the model's input square in training, in pixels, and the activation.
    pub input: fn(&Setup) -> Result<(usize, Activation)>,
    /// Runs the training.
    pub train: fn(&mut Training) -> Result<Ended>,
}

/// Tensors with this program's names: shape and values, row-major.
pub type Tensors = Vec<(String, Vec<usize>, Vec<f32>)>;

/// The inputs of a trainer.
pub struct Training {
    /// The method, the model and their options.
    pub setup: Setup,
    /// The model's name in files.
    pub model: String,
    /// The values of the trainer's options.
    pub options: OptionValues,
    /// Whether to follow the official code or the paper.
    pub fidelity: TrainingFidelity,
    /// Levels to train at.
    pub levels: Vec<usize>,
    /// Side of the model's input square, in pixels.
    pub image_size: usize,
    /// Both towers' activation.
    pub activation: Activation,
    /// The pictures.
    pub data: TrainingData,
    /// Seed of new weights, orders and augmentation.
    pub seed: u64,
    /// The settings of the run; a run with other settings cannot resume from its state.
    pub settings: Provenance,
    /// The output folder.
    pub folder: RunFolder,
    /// Set from outside to stop after the current step.
    pub stop: Arc<AtomicBool>,
    /// Stops after this many more steps.
    pub max_steps: Option<usize>,
    /// Whether progress is shown.
    pub progress: Progress,
}

/// How a stage uses the data.
pub struct StagePlan {
    /// Pictures per step.
    pub batch: usize,
    /// Number of epochs.
    pub epochs: usize,
    /// Whether each epoch has a new order.
    pub shuffled: bool,
    /// The augmentation of the pictures.
    pub augmentation: Augmentation,
    /// The order of resizing and conversion to RGB.
    pub chain: Chain,
}

impl Training {
    /// A training run of a method, with defaults: no model name, no options, no limit, no progress display.
    ///
    /// # Errors
    /// Pictures cannot be used, or the tower has no such level.
    pub fn new(
        setup: Setup,
        trainer: &Trainer,
        folder: RunFolder,
        source: &TrainingSource<'_>,
        fidelity: TrainingFidelity,
    ) -> Result<Self> {
        let prompts = setup.prompts()?;
        let mut data = TrainingData::read(source, &prompts)?;
        data.classes.iter_mut().for_each(|class| *class = setup.named(class));
        let levels = levels(&setup)?;
        let (image_size, activation) = (trainer.input)(&setup)?;
        let mut settings = Provenance::default();
        settings.set("method", setup.method.name);
        settings.set("weights", setup.clip.identity()?);
        settings.set("prompts", prompts.digest());
        settings.set("image_size", image_size);
        settings.set("levels", format!("{levels:?}"));
        settings.set("activation", activation.name());
        settings.set("fidelity", fidelity.name());
        settings.set("seed", source.seed);
        settings.set("data", data.digest());
        Ok(Self {
            setup,
            model: String::new(),
            options: OptionValues::default(),
            fidelity,
            levels,
            image_size,
            activation,
            data,
            seed: source.seed,
            settings,
            folder,
            stop: Arc::default(),
            max_steps: None,
            progress: Progress::Silent,
        })
    }

    /// The image tower, with gradients.
    ///
    /// # Errors
    /// Weights cannot be read.
    pub fn vision(&self) -> Result<VisionTower> {
        let compute = Compute::with_gradients(&self.setup.device);
        self.setup.clip.vision(self.image_size, self.activation, &compute)
    }

    /// The anchors of each class, `[D, 2]`; `encoder`: the text encoder, `None` for the plain text tower.
    ///
    /// # Errors
    /// Weights cannot be read.
    pub fn anchors(&self, encoder: Option<&dyn SentenceEncoder>, cached: bool) -> Result<Vec<Tensor>> {
        let prompts = self.setup.prompts()?;
        let adapts = self.setup.method.describes_classes;
        let cache = if cached { AnchorCache::new() } else { AnchorCache::disabled() };
        let of = |class: &crate::anchors::ClassName| {
            let request = AnchorRequest {
                prompts: &prompts,
                class: &class.text,
                representative: Representative::Mean,
                activation: self.activation,
                encoder: encoder.unwrap_or(&PlainText),
                special: if adapts { SpecialTokens::AaClip } else { SpecialTokens::ClipAd },
                progress: Progress::Silent,
            };
            text_anchors(&self.setup.clip, &request, &cache, &self.setup.device)?.columns(&self.setup.device)
        };
        self.data.classes.iter().map(of).collect()
    }

    /// The training loop of a stage.
    pub fn run(&self, plan: &StagePlan) -> Run<'_> {
        let normalisation = self.setup.clip.config().normalisation;
        Run {
            batches: Batches {
                examples: &self.data.examples,
                size: plan.batch,
                shuffled: plan.shuffled,
                augmentation: plan.augmentation,
                seed: self.seed,
                preprocess: Preprocess {
                    size: self.image_size,
                    patch: self.setup.clip.config().vision.patch_size,
                    mean: normalisation.mean,
                    std: normalisation.std,
                    fit: Fit::Squash,
                    chain: plan.chain,
                },
                decoding: DecodeOptions::default(),
            },
            epochs: plan.epochs,
            device: &self.setup.device,
            state: self.folder.state(),
            log: self.folder.log(),
            settings: self.settings.clone(),
            stop: &self.stop,
            steps_left: self.max_steps,
            progress: self.progress,
        }
    }

    /// The state to resume from, checked against these settings; `None` for a new run.
    ///
    /// # Errors
    /// The state cannot be read, or belongs to a run with other settings.
    pub fn state(&self) -> Result<Option<TrainingState>> {
        if !self.folder.resumed {
            return Ok(None);
        }
        let path = self.folder.state();
        let state = TrainingState::read(&path)?;
        let differences = self.settings.differences(&state.settings);
        if differences.is_empty() {
            Ok(Some(state))
        } else {
            let problem =
                format!("{} was started with other settings ({})", path.display(), differences.join("; "));
            Err(Error::Setting(problem))
        }
    }

    /// Copies a state into a stage and returns the numbers of finished epochs and batches.
    ///
    /// # Errors
    /// The state has other variables.
    pub fn restore(&self, state: Option<&TrainingState>, stage: &mut dyn Stage) -> Result<(usize, usize)> {
        let Some(state) = state else { return Ok((0, 0)) };
        state.restore(stage.adam_mut(), &self.folder.state(), &self.setup.device)?;
        Ok((state.position.epoch, state.position.batch))
    }

    /// The header of the run's files.
    pub fn header(&self, epochs: &str) -> Header {
        let mut header = Header::default();
        let levels: Vec<String> = self.levels.iter().map(usize::to_string).collect();
        for (name, value) in [
            ("method", self.setup.method.name),
            ("base_model", &self.model),
            ("levels", &levels.join(",")),
            ("image_size", &self.image_size.to_string()),
            ("training_data", self.settings.get("data").unwrap_or_default()),
            ("epochs", epochs),
        ] {
            header.set(name, value);
        }
        header
    }

    /// Writes the trained tensors together with further tensors.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(
        &self,
        path: &Path,
        header: Header,
        beside: &[(String, Vec<usize>, Vec<f32>)],
        adam: &Adam,
    ) -> Result<()> {
        let mut tensors: Tensors = beside.to_vec();
        for trained in &adam.trained {
            let values = trained.var.flatten_all()?.to_vec1::<f32>()?;
            tensors.push((trained.name.clone(), trained.var.dims().to_vec(), values));
        }
        Trained::from_values(path, self.setup.method, header, tensors)?.write(path)
    }
}

/// Accepts a whole number from 1.
///
/// # Errors
/// The expected form.
pub fn positive(text: &str) -> Result<(), String> {
    let fits = text.parse::<usize>().is_ok_and(|n| n > 0);
    if fits { Ok(()) } else { Err("expected a whole number, at least 1".to_owned()) }
}

/// Accepts a learning rate.
///
/// # Errors
/// The expected form.
pub fn learning_rate(text: &str) -> Result<(), String> {
    let fits = text.parse::<f64>().is_ok_and(|x| x > 0.0 && x <= 1.0);
    if fits { Ok(()) } else { Err("expected a number above 0, at most 1".to_owned()) }
}

/// The levels for training, in the given order.
fn levels(setup: &Setup) -> Result<Vec<usize>> {
    let layers = setup.clip.config().vision.layers;
    let Some(levels) = setup.options.list(&options::LEVELS)? else { return Ok(super::quarters(layers)) };
    super::check_levels(&levels, layers)?;
    Ok(levels)
}
