//! What both methods of `aaclip train` set up in the same way.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use aaclip::adapters::{AdapterHeader, Method};
use aaclip::anchors::{ClassName, PromptSet};
use aaclip::clip::{Activation, Checkpoint, Compute, VisionTower};
use aaclip::image::{Chain, DecodeOptions, Fit, Preprocess};
use aaclip::models;
use aaclip::train::{Augmentation, Batches, Example, Run, TrainingState};
use aaclip::{Error, Provenance, Result, quarters};
use candle_core::Device;

use super::data;
use crate::cli::args::train::CommonArgs;
use crate::cli::messages;
use crate::cli::stop;

/// Files of a run.
pub struct Place {
    pub dir: PathBuf,
}

impl Place {
    fn open(common: &CommonArgs) -> Result<Self> {
        let place = Self { dir: common.out.clone() };
        let state = place.state();
        match (state.exists(), common.resume) {
            (true, false) => {
                return Err(Error::Setting(format!(
                    "{} holds a run already: go on with --resume, or give another folder",
                    place.dir.display()
                )));
            }
            (false, true) => {
                return Err(Error::Setting(format!("{} does not exist: nothing to resume", state.display())));
            }
            _ => {}
        }
        std::fs::create_dir_all(&place.dir).map_err(|e| Error::io("create", &place.dir, e))?;
        Ok(place)
    }

    pub fn state(&self) -> PathBuf {
        self.dir.join("state.safetensors")
    }

    pub fn text(&self) -> PathBuf {
        self.dir.join("text.safetensors")
    }

    pub fn latest(&self) -> PathBuf {
        self.dir.join("adapters.safetensors")
    }

    pub fn epoch(&self, epoch: usize) -> PathBuf {
        self.dir.join(format!("epoch-{epoch}.safetensors"))
    }
}

/// What both methods set up in the same way.
pub struct Setup {
    pub checkpoint: Checkpoint,
    pub model: String,
    pub levels: Vec<usize>,
    pub image_size: usize,
    pub activation: Activation,
    pub device: Device,
    pub prompts: PromptSet,
    pub examples: Vec<Example>,
    pub classes: Vec<ClassName>,
    pub seed: u64,
    pub settings: Provenance,
    pub place: Place,
    pub stop: Arc<AtomicBool>,
}

impl Setup {
    pub fn new(common: &CommonArgs, method: Method) -> Result<Self> {
        let place = Place::open(common)?;
        let chosen = models::resolve(common.model.as_deref())?;
        let checkpoint = chosen.open()?;
        let config = checkpoint.config();
        let adapts = method.adapts_towers();
        let defaults = aaclip::DetectorSettings {
            image_size: common.image_size,
            activation: common.activation.map(Into::into).or(chosen.activation.filter(|_| !adapts)),
            ..Default::default()
        };
        let (image_size, activation) =
            (defaults.image_size(config, method), defaults.activation(config, method));
        let levels = match &common.levels[..] {
            [] => quarters(config.vision.layers),
            given => given.to_vec(),
        };
        if let Some(level) = levels.iter().find(|&&l| l == 0 || l > config.vision.layers) {
            return Err(Error::Setting(format!(
                "level {level} does not exist: this model has levels 1 to {}",
                config.vision.layers
            )));
        }
        let prompts =
            PromptSet::load(common.prompts.as_deref().unwrap_or(if adapts { "aa-clip" } else { "clip-ad" }))?;
        let seed = common.seed.unwrap_or(if adapts { 111 } else { 42 });
        let data = data::read(common, &prompts, adapts, seed)?;

        let mut settings = Provenance::default();
        settings.set("method", method.name());
        settings.set("weights", checkpoint.identity()?);
        settings.set("prompts", prompts.digest());
        settings.set("image_size", image_size);
        settings.set("levels", format!("{levels:?}"));
        settings.set("activation", activation.name());
        settings.set("fidelity", format!("{:?}", common.fidelity));
        settings.set("seed", seed);
        settings.set("data", data.digest());
        Ok(Self {
            model: chosen.name,
            levels,
            image_size,
            activation,
            device: common.device.open()?,
            prompts,
            examples: data.examples,
            classes: data.classes,
            seed,
            settings,
            place,
            stop: stop::on_signal("finishing this step"),
            checkpoint,
        })
    }

    pub fn vision(&self) -> Result<VisionTower> {
        self.checkpoint.vision(self.image_size, self.activation, &Compute::with_gradients(&self.device))
    }

    pub fn run<'a>(&'a self, common: &CommonArgs, stage: StagePlan) -> Run<'a> {
        let config = self.checkpoint.config();
        Run {
            batches: Batches {
                examples: &self.examples,
                size: stage.batch,
                shuffled: stage.shuffled,
                augmentation: stage.augmentation,
                seed: self.seed,
                preprocess: Preprocess {
                    size: self.image_size,
                    mean: config.normalisation.mean,
                    std: config.normalisation.std,
                    fit: Fit::Squash,
                    chain: stage.chain,
                },
                decoding: DecodeOptions::default(),
            },
            epochs: stage.epochs,
            device: &self.device,
            state: self.place.state(),
            log: self.place.dir.join("train.jsonl"),
            settings: self.settings.clone(),
            stop: &self.stop,
            steps_left: common.max_steps,
            progress: messages::progress(),
        }
    }

    /// The state to go on from, checked against these settings.
    pub fn state(&self, common: &CommonArgs) -> Result<Option<TrainingState>> {
        if !common.resume {
            return Ok(None);
        }
        let path = self.place.state();
        let state = TrainingState::read(&path)?;
        let differences = self.settings.differences(&state.settings);
        match differences.is_empty() {
            true => Ok(Some(state)),
            false => Err(Error::Setting(format!(
                "{} was begun with other settings ({})",
                path.display(),
                differences.join("; ")
            ))),
        }
    }

    pub fn header(&self, method: Method, epochs: String) -> AdapterHeader {
        AdapterHeader {
            method: Some(method.name().to_owned()),
            base_model: Some(self.model.clone()),
            levels: Some(self.levels.clone()),
            image_size: Some(self.image_size),
            training_data: Some(self.settings.get("data").unwrap_or_default().to_owned()),
            epochs: Some(epochs),
            ..AdapterHeader::default()
        }
    }
}

/// How a stage goes through the data.
pub struct StagePlan {
    pub batch: usize,
    pub epochs: usize,
    pub shuffled: bool,
    pub augmentation: Augmentation,
    pub chain: Chain,
}
