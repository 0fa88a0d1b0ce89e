//! Training of AA-CLIP's adapters in two stages (arXiv 2503.06661, sections 3.2 and 3.3).

mod image_stage;
mod text_stage;

use std::path::PathBuf;

use candle_core::{Device, Result, Tensor};

use super::{Adapters, Share};
use crate::Error;
use crate::anchors::{Polarity, SentenceEncoder};
use crate::clip::{Compute, SpecialTokens};
use crate::image::Chain;
use crate::methods::options::{MethodOption, boolean, share, whole_number};
use crate::methods::trained::Header;
use crate::methods::training::{StagePlan, Tensors, Trainer, Training, learning_rate, positive};
use crate::methods::{OptionValues, Trained};
use crate::train::{AdamSettings, Augmentation, Ended, Initial};

pub use image_stage::{AnchoredImageStage, ImageStage};
pub use text_stage::{ClassSentences, TextStage};

/// `aaclip train aa-clip`
pub static TRAINER: Trainer = Trainer {
    about: "AA-CLIP: text adapters first, then image adapters",
    options: &[
        &STAGE,
        &TEXT_ADAPTERS,
        &INIT,
        &TEXT_EPOCHS,
        &IMAGE_EPOCHS,
        &TEXT_BATCH,
        &IMAGE_BATCH,
        &TEXT_RATE,
        &IMAGE_RATE,
        &TEXT_ADAPT_UNTIL,
        &IMAGE_ADAPT_UNTIL,
        &TEXT_ADAPT_WEIGHT,
        &IMAGE_ADAPT_WEIGHT,
        &RELU,
        &NO_AUGMENTATION,
    ],
    seed: 111,
    input: super::input,
    train,
};

const BASE: MethodOption = MethodOption { heading: "Training", ..MethodOption::TEXT };

static STAGE: MethodOption = MethodOption {
    name: "stage",
    value: "STAGE",
    help: "Which stages to run",
    default: Some("both"),
    values: &[
        ("text", "The first: text adapters"),
        ("image", "The second: image adapters"),
        ("both", "One after the other"),
    ],
    ..BASE
};

static TEXT_ADAPTERS: MethodOption = MethodOption {
    name: "text-adapters",
    value: "PATH",
    help: "Text adapters for the second stage alone: a file or checkpoint folder",
    ..BASE
};

static INIT: MethodOption = MethodOption {
    name: "init",
    value: "PATH",
    help: "Start the second stage from these image adapters instead of new ones; missing tensors are new",
    ..BASE
};

static TEXT_EPOCHS: MethodOption = MethodOption {
    name: "text-epochs",
    value: "N",
    help: "Epochs of the first stage",
    default: Some("5"),
    check: whole_number,
    ..BASE
};

static IMAGE_EPOCHS: MethodOption = MethodOption {
    name: "image-epochs",
    value: "N",
    help: "Epochs of the second stage",
    default: Some("20"),
    check: whole_number,
    ..BASE
};

static TEXT_BATCH: MethodOption = MethodOption {
    name: "text-batch",
    value: "N",
    help: "Pictures per step of the first stage",
    default: Some("16"),
    check: positive,
    ..BASE
};

static IMAGE_BATCH: MethodOption = MethodOption {
    name: "image-batch",
    value: "N",
    help: "Pictures per step of the second stage",
    default: Some("2"),
    check: positive,
    ..BASE
};

static TEXT_RATE: MethodOption = MethodOption {
    name: "text-rate",
    value: "X",
    help: "Learning rate of the first stage",
    default: Some("0.00001"),
    check: learning_rate,
    ..BASE
};

static IMAGE_RATE: MethodOption = MethodOption {
    name: "image-rate",
    value: "X",
    help: "Learning rate of the second stage; halved after 16,000 and 32,000 steps",
    default: Some("0.0005"),
    check: learning_rate,
    ..BASE
};

static TEXT_ADAPT_UNTIL: MethodOption = MethodOption {
    name: "text-adapt-until",
    value: "N",
    help: "Text blocks with an adapter [default: 3, or all blocks if fewer]",
    check: whole_number,
    ..BASE
};

static IMAGE_ADAPT_UNTIL: MethodOption = MethodOption {
    name: "image-adapt-until",
    value: "N",
    help: "Image blocks with an adapter [default: 6, or all blocks if fewer]",
    check: whole_number,
    ..BASE
};

static TEXT_ADAPT_WEIGHT: MethodOption = MethodOption {
    name: "text-adapt-weight",
    value: "X",
    help: "Weight of the text adapters, 0..1",
    default: Some("0.1"),
    check: share,
    ..BASE
};

static IMAGE_ADAPT_WEIGHT: MethodOption = MethodOption {
    name: "image-adapt-weight",
    value: "X",
    help: "Weight of the image adapters, 0..1",
    default: Some("0.1"),
    check: share,
    ..BASE
};

static RELU: MethodOption = MethodOption {
    name: "relu",
    value: "BOOL",
    help: "Put a leaky ReLU after the image projections",
    bare: Some("true"),
    check: boolean,
    ..BASE
};

static NO_AUGMENTATION: MethodOption = MethodOption {
    name: "no-augmentation",
    value: "BOOL",
    help: "No augmentation",
    bare: Some("true"),
    check: boolean,
    ..BASE
};

/// The given options, or the reference's values.
struct Settings {
    stage: String,
    text_adapters: Option<PathBuf>,
    text: StageSettings,
    image: StageSettings,
    relu: bool,
    augment: bool,
}

struct StageSettings {
    epochs: usize,
    batch: usize,
    rate: f64,
    until: usize,
    weight: Share,
}

impl Settings {
    fn of(training: &Training) -> crate::Result<Self> {
        let said = &training.options;
        let config = training.setup.clip.config();
        let weight = |option: &MethodOption| -> crate::Result<Share> {
            Ok(said.get(option)?.and_then(Share::new).unwrap_or(Share::AA_CLIP))
        };
        Ok(Self {
            stage: said.value(&STAGE)?,
            text_adapters: said.get(&TEXT_ADAPTERS)?,
            text: StageSettings {
                epochs: said.value(&TEXT_EPOCHS)?,
                batch: said.value(&TEXT_BATCH)?,
                rate: said.value(&TEXT_RATE)?,
                until: said.get(&TEXT_ADAPT_UNTIL)?.unwrap_or(3).min(config.text.layers),
                weight: weight(&TEXT_ADAPT_WEIGHT)?,
            },
            image: StageSettings {
                epochs: said.value(&IMAGE_EPOCHS)?,
                batch: said.value(&IMAGE_BATCH)?,
                rate: said.value(&IMAGE_RATE)?,
                until: said.get(&IMAGE_ADAPT_UNTIL)?.unwrap_or(6).min(config.vision.layers),
                weight: weight(&IMAGE_ADAPT_WEIGHT)?,
            },
            relu: said.get(&RELU)?.unwrap_or(false),
            augment: !said.get(&NO_AUGMENTATION)?.unwrap_or(false),
        })
    }

    fn note(&self, training: &mut Training) {
        let (text, image) = (&self.text, &self.image);
        for (name, value) in [
            ("stage", self.stage.clone()),
            ("batches", format!("{} {}", text.batch, image.batch)),
            ("rates", format!("{} {}", text.rate, image.rate)),
            ("adapted", format!("{} {} {}", text.until, image.until, self.relu)),
            ("shares", format!("{} {}", text.weight.value(), image.weight.value())),
            ("augmentation", self.augment.to_string()),
        ] {
            training.settings.set(name, value);
        }
    }

    fn augmentation(&self, wanted: Augmentation) -> Augmentation {
        if self.augment { wanted } else { Augmentation::None }
    }

    fn header(&self, training: &Training, epochs: &str) -> Header {
        let mut header = training.header(epochs);
        header.set("text_adapt_weight", &self.text.weight.value().to_string());
        header.set("image_adapt_weight", &self.image.weight.value().to_string());
        header.set("relu", &self.relu.to_string());
        header
    }
}

fn train(training: &mut Training) -> crate::Result<Ended> {
    let settings = Settings::of(training)?;
    if settings.text_adapters.is_some() && settings.stage != "image" {
        return Err(Error::Setting("`text-adapters` has no effect unless `stage` is `image`".to_owned()));
    }
    settings.note(training);
    let method = training.setup.method;
    let init: Option<PathBuf> = training.options.get(&INIT)?;
    let init = init.map(|path| Trained::read(&path, Some(method))).transpose()?;
    training.settings.set("init", init.as_ref().map_or("new".to_owned(), Trained::digest));
    let state = training.state()?;
    let at = |name: &str| state.as_ref().filter(|s| s.position.stage == name);
    let vision = training.vision()?;

    // New weights are drawn for both stages, whichever is run, so that the weights of stage 2 do not depend
    // on stage 1.
    let config = training.setup.clip.config().clone();
    let mut initial = Initial::new(training.seed, &training.setup.device);
    let new_text = text_weights(&mut initial, settings.text.until, config.text.width, config.embed_dim)?;
    let levels = training.levels.len();
    let (width, space) = (config.vision.width, config.embed_dim);
    let mut new_image = image_weights(&mut initial, settings.image.until, levels, width, space)?;
    if let Some(file) = &init {
        new_image = started(new_image, file, &training.setup.device)?;
    }
    if settings.stage != "image" && at("image").is_none() {
        let text = training
            .setup
            .clip
            .text(training.activation, &Compute::with_gradients(&training.setup.device))?;
        let sentences = sentences(training)?;
        let adam = AdamSettings { rate: settings.text.rate, ..TextStage::ADAM };
        let (levels, weight) = (training.levels.clone(), settings.text.weight);
        let mut stage =
            TextStage::new(&vision, &text, &sentences, &levels, new_text, weight, training.fidelity, adam)?;
        let start = training.restore(at("text"), &mut stage)?;
        let plan = StagePlan {
            batch: settings.text.batch,
            epochs: settings.text.epochs,
            shuffled: true,
            augmentation: settings.augmentation(Augmentation::Motion),
            chain: Chain::RgbThenResize,
        };
        let mut run = training.run(&plan);
        let ended = run.train(&mut stage, start, |stage, epoch| {
            let header = settings.header(training, &format!("text {epoch}"));
            training.write(&training.folder.text(), header, &[], stage.adam())
        })?;
        let left = run.steps_left;
        if settings.text.epochs == 0 {
            let header = settings.header(training, "text 0");
            training.write(&training.folder.text(), header, &[], &stage.adam)?;
        }
        training.max_steps = left;
        if ended == Ended::Stopped {
            return Ok(ended);
        }
    }
    if settings.stage == "text" {
        return Ok(Ended::Finished);
    }

    // Stage 2, with the anchors of stage 1.
    let text_file = match settings.stage.as_str() {
        "both" => Some(training.folder.text()),
        _ => settings.text_adapters.clone(),
    };
    let text_file = text_file.map(|path| Trained::read(&path, Some(method))).transpose()?;
    let anchors = anchors(training, text_file.as_ref(), settings.text.weight)?;
    let adam = AdamSettings { rate: settings.image.rate, ..ImageStage::ADAM };
    let (levels, weight) = (training.levels.clone(), settings.image.weight);
    let stage = ImageStage::new(&vision, &levels, new_image, weight, settings.relu, adam)?;
    let mut stage = AnchoredImageStage { stage, anchors };
    let start = training.restore(at("image"), &mut stage)?;
    let text: Tensors = text_file.as_ref().map(text_tensors).unwrap_or_default();
    let plan = StagePlan {
        batch: settings.image.batch,
        epochs: settings.image.epochs,
        shuffled: true,
        augmentation: settings.augmentation(Augmentation::ColoursAndMotion),
        chain: Chain::RgbThenResize,
    };
    training.run(&plan).train(&mut stage, start, |stage, epoch| {
        let header = settings.header(training, &format!("text {}, image {epoch}", settings.text.epochs));
        training.write(&training.folder.epoch(epoch), header.clone(), &text, stage.adam())?;
        training.write(&training.folder.latest(), header, &text, stage.adam())
    })
}

/// New weights, replaced by those of a file where it has them.
fn started(
    weights: Vec<(String, Tensor)>,
    file: &Trained,
    device: &Device,
) -> crate::Result<Vec<(String, Tensor)>> {
    let start = |(name, new): (String, Tensor)| match file.get(&name) {
        None => Ok((name, new)),
        Some(_) => Ok((name.clone(), file.tensor(&name, new.dims(), device)?)),
    };
    weights.into_iter().map(start).collect()
}

fn text_tensors(file: &Trained) -> Tensors {
    let named = file.tensors().filter(|(name, _)| name.starts_with("text_adapter."));
    let values = named
        .filter_map(|(name, shape)| Some((name.to_owned(), shape.to_vec(), file.get(name)?.values.clone())));
    values.collect()
}

fn sentences(training: &Training) -> crate::Result<Vec<ClassSentences>> {
    let tokenizer = training.setup.clip.tokenizer(SpecialTokens::AaClip)?;
    let prompts = training.setup.prompts()?;
    let of = |polarity, text: &str| -> crate::Result<Vec<_>> {
        prompts.sentences(polarity, text).iter().map(|s| Ok(tokenizer.encode(s)?)).collect()
    };
    let classes = training.data.classes.iter().map(|class| {
        Ok(ClassSentences {
            normal: of(Polarity::Normal, &class.text)?,
            abnormal: of(Polarity::Abnormal, &class.text)?,
        })
    });
    classes.collect()
}

/// The anchors for stage 2, `[D, 2]` per class.
fn anchors(training: &Training, text: Option<&Trained>, weight: Share) -> crate::Result<Vec<Tensor>> {
    let mut options = OptionValues::default();
    options.set(&super::TEXT_ADAPT_WEIGHT, &weight.value().to_string())?;
    let (config, device) = (training.setup.clip.config(), &training.setup.device);
    let adapter =
        text.map(|weights| Adapters { weights, config, device, options: &options }.text()).transpose()?;
    let adapter = adapter.flatten();
    training.anchors(adapter.as_ref().map(|a| a as &dyn SentenceEncoder), false)
}

/// New text adapters: `until` of `[W, W]` and a projection `[D, W]`.
///
/// # Errors
/// Errors of the device.
pub fn text_weights(
    initial: &mut Initial<'_>,
    until: usize,
    width: usize,
    space: usize,
) -> Result<Vec<(String, Tensor)>> {
    let mut all = Vec::with_capacity(until + 1);
    for i in 0..=until {
        let outputs = if i < until { width } else { space };
        all.push((format!("text_adapter.{i}"), initial.xavier(outputs, width)?));
    }
    Ok(all)
}

/// New image adapters: `until` of `[W, W]`, a projection `[D, W]` per level, and one for the image.
///
/// # Errors
/// Errors of the device.
pub fn image_weights(
    initial: &mut Initial<'_>,
    until: usize,
    levels: usize,
    width: usize,
    space: usize,
) -> Result<Vec<(String, Tensor)>> {
    let mut all = Vec::new();
    for i in 0..until {
        all.push((format!("layer_adapters.{i}"), initial.xavier(width, width)?));
    }
    for i in 0..levels {
        all.push((format!("seg_proj.{i}"), initial.xavier(space, width)?));
    }
    all.push(("det_proj".to_owned(), initial.xavier(space, width)?));
    Ok(all)
}
