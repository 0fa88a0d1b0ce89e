//! Training of SDP+'s linear layers (CLIP-AD, section 3.3).

use candle_core::{Result, Tensor, Var};

use crate::clip::{VisionTower, unit};
use crate::image::Chain;
use crate::methods::options::MethodOption;
use crate::methods::sdp::{DualPath, Fidelity};
use crate::methods::training::{StagePlan, Trainer, Training, learning_rate, positive};
use crate::train::loss::{SegmentationLoss, Upsample, logit_difference};
use crate::train::{
    Adam, AdamSettings, Augmentation, Batch, Ended, Gradients, Initial, Losses, Stage, Terms,
    TrainingFidelity, anchors_of,
};

/// `aaclip train sdp-plus`
pub static TRAINER: Trainer = Trainer {
    about: "SDP+: a linear layer per level",
    options: &[&EPOCHS, &BATCH, &RATE],
    seed: 42,
    input: crate::methods::sdp::input,
    train,
};

static EPOCHS: MethodOption = MethodOption {
    name: "epochs",
    value: "N",
    help: "Epochs",
    default: Some("5"),
    heading: "Training",
    check: crate::methods::options::whole_number,
    ..MethodOption::TEXT
};

static BATCH: MethodOption = MethodOption {
    name: "batch",
    value: "N",
    help: "Pictures per step",
    default: Some("8"),
    heading: "Training",
    check: positive,
    ..MethodOption::TEXT
};

static RATE: MethodOption = MethodOption {
    name: "rate",
    value: "X",
    help: "Learning rate",
    default: Some("0.0001"),
    heading: "Training",
    check: learning_rate,
    ..MethodOption::TEXT
};

fn train(training: &mut Training) -> crate::Result<Ended> {
    let batch = training.options.value(&BATCH)?;
    let rate = training.options.value(&RATE)?;
    training.settings.set("batches", batch);
    training.settings.set("rates", rate);
    let state = training.state()?;
    let anchors = training.anchors(None, true)?;
    let vision = training.vision()?;
    let config = training.setup.clip.config();
    let mut initial = Initial::new(training.seed, &training.setup.device);
    let weights = linear_weights(&mut initial, training.levels.len(), config.vision.width, config.embed_dim)?;
    let settings = AdamSettings { rate, ..LinearStage::ADAM };
    let stage = LinearStage::new(&vision, &training.levels, weights, training.fidelity, settings)?;
    let mut stage = AnchoredLinearStage { stage, anchors };
    let start = training.restore(state.as_ref(), &mut stage)?;
    let plan = StagePlan {
        batch,
        epochs: training.options.value(&EPOCHS)?,
        shuffled: false,
        augmentation: Augmentation::None,
        chain: Chain::ResizeThenRgb,
    };
    let ended = training.run(&plan).train(&mut stage, start, |stage, epoch| {
        let header = training.header(&epoch.to_string());
        training.write(&training.folder.epoch(epoch), header.clone(), &[], stage.adam())?;
        training.write(&training.folder.latest(), header, &[], stage.adam())
    })?;
    Ok(ended)
}

/// The linear layers in training; the tower and the anchors are frozen.
pub struct LinearStage<'a> {
    vision: &'a VisionTower,
    levels: Vec<usize>,
    fidelity: TrainingFidelity,
    /// Weight `[D, W]` and bias `[D]` per level.
    layers: Vec<(Tensor, Tensor)>,
    upsample: Upsample,
    /// The optimiser with the layers' variables.
    pub adam: Adam,
}

impl<'a> LinearStage<'a> {
    /// The optimiser of the reference's script.
    pub const ADAM: AdamSettings = AdamSettings { rate: 1e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

    /// A stage over `weights` by their canonical names ([`linear_weights`] makes new ones).
    ///
    /// # Errors
    /// The weights do not consist of a weight and a bias per level.
    pub fn new(
        vision: &'a VisionTower,
        levels: &[usize],
        weights: Vec<(String, Tensor)>,
        fidelity: TrainingFidelity,
        settings: AdamSettings,
    ) -> Result<Self> {
        let vars: Vec<(String, Var)> =
            weights.iter().map(|(n, t)| Ok((n.clone(), Var::from_tensor(t)?))).collect::<Result<_>>()?;
        let get = |name: String| match vars.iter().find(|(n, _)| *n == name) {
            Some((_, var)) => Ok(var.as_tensor().clone()),
            None => candle_core::bail!("`{name}` is missing"),
        };
        let layer = |i| Ok((get(format!("fc.{i}.weight"))?, get(format!("fc.{i}.bias"))?));
        let layers = (0..levels.len()).map(layer).collect::<Result<Vec<_>>>()?;
        let Some((_, bias)) = layers.first() else { candle_core::bail!("SDP+ needs at least one level") };
        Ok(Self {
            vision,
            levels: levels.to_vec(),
            fidelity,
            upsample: Upsample::new(vision.grid(), vision.image_size(), bias.device())?,
            layers,
            adam: Adam::new(settings, vars)?,
        })
    }

    /// Losses and gradients of a batch, with each picture's anchors `[B, D, 2]`.
    ///
    /// # Errors
    /// The batch does not match the tower's input.
    pub fn gradients(&self, batch: &Batch, anchors: &Tensor) -> Result<(Losses, Gradients)> {
        let reference = self.fidelity == TrainingFidelity::Reference;
        let fidelity = if reference { Fidelity::Reference } else { Fidelity::Clean };
        let path = DualPath { surgery: false, fidelity, ..DualPath::new(&self.levels) };
        let features = path.walk(self.vision, &batch.images)?;
        let mut terms = Terms::default();
        for (level, (weight, bias)) in features.iter().zip(&self.layers) {
            let (pictures, tokens, width) = level.original.dims3()?;
            let patches = level.original.narrow(1, 1, tokens - 1)?.contiguous()?;
            let rows = patches.reshape((pictures * (tokens - 1), width))?.matmul(&weight.t()?)?;
            let features = unit(&rows.broadcast_add(bias)?)?.reshape((pictures, tokens - 1, ()))?;
            let probabilities = self.upsample.probabilities(&logit_difference(&features, anchors)?)?;
            let parts = if reference && pictures == 1 {
                SegmentationLoss::sdp_plus_by_rows(&probabilities, &batch.masks)?
            } else {
                SegmentationLoss::sdp_plus(&probabilities, &batch.masks)?
            };
            terms.add_segmentation(level.level, &parts)?;
        }
        let (sum, losses) = terms.finish()?;
        let mut gradients = self.adam.gradients();
        gradients.add(&self.adam, &sum.backward()?)?;
        Ok((losses, gradients))
    }
}

/// The stage with its frozen anchors, `[D, 2]` per class.
pub struct AnchoredLinearStage<'a> {
    /// The stage.
    pub stage: LinearStage<'a>,
    /// The anchors.
    pub anchors: Vec<Tensor>,
}

impl Stage for AnchoredLinearStage<'_> {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn gradients(&self, batch: &Batch) -> Result<(Losses, Gradients)> {
        self.stage.gradients(batch, &anchors_of(&batch.classes, &self.anchors)?)
    }

    fn adam(&self) -> &Adam {
        &self.stage.adam
    }

    fn adam_mut(&mut self) -> &mut Adam {
        &mut self.stage.adam
    }
}

/// New linear layers with PyTorch's default initialisation: weight `[D, W]` and bias `[D]` per level, both
/// from -1/sqrt(W) to 1/sqrt(W).
///
/// # Errors
/// Errors of the device.
pub fn linear_weights(
    initial: &mut Initial<'_>,
    levels: usize,
    width: usize,
    space: usize,
) -> Result<Vec<(String, Tensor)>> {
    let bound = (width.max(1) as f32).sqrt().recip();
    let mut all = Vec::new();
    for i in 0..levels {
        all.push((format!("fc.{i}.weight"), initial.uniform(&[space, width], bound)?));
        all.push((format!("fc.{i}.bias"), initial.uniform(&[space], bound)?));
    }
    Ok(all)
}
