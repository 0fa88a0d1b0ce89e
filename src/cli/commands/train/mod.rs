//! `aaclip train`.

mod data;
mod plot;
mod setup;
use std::path::Path;
use std::process::ExitCode;

use aaclip::adapters::{AaClipOptions, AdapterFile, AdapterFit, AdapterHeader, Method};
use aaclip::anchors::{
    AnchorCache, AnchorRequest, Anchors, ClassName, Polarity, Representative, text_anchors,
};
use aaclip::clip::{Compute, SpecialTokens};
use aaclip::image::Chain;
use aaclip::train::{
    Adam, AdamSettings, Anchored, Augmentation, ClassSentences, Ended, ImageStage, Initial, LinearStage,
    Stage, TextStage, TrainingState, image_weights, linear_weights, text_weights,
};
use aaclip::{Error, Result};
use candle_core::{Device, Tensor};

use crate::cli::EXIT_ERROR;
use crate::cli::args::train::{AaClipArgs, Action, SdpPlusArgs, StageName, TrainArgs};
use crate::cli::commands::train::setup::{Place, Setup, StagePlan};
use crate::cli::messages;

pub fn run(args: TrainArgs) -> Result<ExitCode> {
    match args.action {
        Action::AaClip(args) => aa_clip(&args),
        Action::SdpPlus(args) => sdp_plus(&args),
        Action::Plot { log, out } => plot::run(&log, &out),
    }
}

fn aa_clip(args: &AaClipArgs) -> Result<ExitCode> {
    let common = &args.common;
    if args.text_adapters.is_some() && args.stage != StageName::Image {
        return Err(Error::Setting("--text-adapters has no effect without --stage image".to_owned()));
    }
    let mut setup = Setup::new(common, Method::AaClip)?;
    let config = setup.checkpoint.config().clone();
    let text_until = args.text_adapt_until.unwrap_or(3).min(config.text.layers);
    let image_until = args.image_adapt_until.unwrap_or(6).min(config.vision.layers);
    for (name, value) in [
        ("stage", format!("{:?}", args.stage)),
        ("batches", format!("{} {}", args.text_batch, args.image_batch)),
        ("rates", format!("{} {}", args.text_rate, args.image_rate)),
        ("adapted", format!("{text_until} {image_until} {}", args.relu)),
        ("shares", format!("{} {}", args.text_adapt_weight.value(), args.image_adapt_weight.value())),
        ("augmentation", (!args.no_augmentation).to_string()),
    ] {
        setup.settings.set(name, value);
    }
    let init = args.init.as_deref().map(AdapterFile::read).transpose()?;
    setup.settings.set("init", init.as_ref().map_or("new".to_owned(), AdapterFile::digest));
    let setup = setup;
    let state = setup.state(common)?;
    let vision = setup.vision()?;
    let sentences = sentences(&setup)?;
    let augmentation = |wanted| if args.no_augmentation { Augmentation::None } else { wanted };
    let header = |epochs: String| AdapterHeader {
        text_adapt_weight: Some(args.text_adapt_weight.value()),
        image_adapt_weight: Some(args.image_adapt_weight.value()),
        relu: Some(args.relu),
        ..setup.header(Method::AaClip, epochs)
    };
    let mut initial = Initial::new(setup.seed, &setup.device);
    let at = |name: &str| state.as_ref().filter(|s| s.position.stage == name);
    let mut steps_left = common.max_steps;

    // Stage 1, unless it is done or not wanted. New weights are drawn either way, so that those of stage 2 do not
    // depend on how training got there.
    let new_text = text_weights(&mut initial, text_until, config.text.width, config.embed_dim)?;
    let new_image =
        image_weights(&mut initial, image_until, setup.levels.len(), config.vision.width, config.embed_dim)?;
    let new_image = match &init {
        Some(file) => started(new_image, file, &setup.device)?,
        None => new_image,
    };
    if args.stage != StageName::Image && at("image").is_none() {
        let text = setup.checkpoint.text(setup.activation, &Compute::with_gradients(&setup.device))?;
        let rate = AdamSettings { rate: args.text_rate, ..TextStage::ADAM };
        let mut stage = TextStage::new(
            &vision,
            &text,
            &sentences,
            &setup.levels,
            new_text,
            args.text_adapt_weight,
            common.fidelity.into(),
            rate,
        )?;
        let start = restore(at("text"), &mut stage, &setup)?;
        let mut run = setup.run(
            common,
            StagePlan {
                batch: args.text_batch,
                epochs: args.text_epochs,
                shuffled: true,
                augmentation: augmentation(Augmentation::Motion),
                chain: Chain::RgbThenResize,
            },
        );
        let ended = run.train(&mut stage, start, |stage, epoch| {
            write(&setup.place.text(), header(format!("text {epoch}")), &[], stage.adam())
        })?;
        if args.text_epochs == 0 {
            write(&setup.place.text(), header("text 0".to_owned()), &[], &stage.adam)?;
        }
        steps_left = run.steps_left;
        if ended == Ended::Stopped {
            return stopped(&setup.place);
        }
    }
    if args.stage == StageName::Text {
        return done(&setup.place.text());
    }

    // Stage 2, with the anchors of stage 1.
    let text_file = match (&args.text_adapters, args.stage) {
        (Some(path), _) => Some(path.clone()),
        (None, StageName::Both) => Some(setup.place.text()),
        (None, _) => None,
    };
    let text_file = text_file.as_deref().map(AdapterFile::read).transpose()?;
    let anchors = setup
        .classes
        .iter()
        .map(|class| class_anchors(&setup, class, text_file.as_ref(), args))
        .collect::<Result<Vec<_>>>()?;
    let rate = AdamSettings { rate: args.image_rate, ..ImageStage::ADAM };
    let stage = ImageStage::new(&vision, &setup.levels, new_image, args.image_adapt_weight, args.relu, rate)?;
    let mut stage = Anchored { stage, anchors };
    let start = restore(at("image"), &mut stage, &setup)?;
    let mut run = setup.run(
        common,
        StagePlan {
            batch: args.image_batch,
            epochs: args.image_epochs,
            shuffled: true,
            augmentation: augmentation(Augmentation::ColoursAndMotion),
            chain: Chain::RgbThenResize,
        },
    );
    run.steps_left = steps_left;
    let text: Vec<(String, Vec<usize>, Vec<f32>)> = text_file.as_ref().map(text_tensors).unwrap_or_default();
    let ended = run.train(&mut stage, start, |stage, epoch| {
        let header = header(format!("text {}, image {epoch}", args.text_epochs));
        write(&setup.place.epoch(epoch), header.clone(), &text, stage.adam())?;
        write(&setup.place.latest(), header, &text, stage.adam())
    })?;
    match ended {
        Ended::Stopped => stopped(&setup.place),
        Ended::Finished => done(&setup.place.latest()),
    }
}

fn sdp_plus(args: &SdpPlusArgs) -> Result<ExitCode> {
    let common = &args.common;
    let mut setup = Setup::new(common, Method::SdpPlus)?;
    setup.settings.set("batches", args.batch);
    setup.settings.set("rates", args.rate);
    let setup = setup;
    let config = setup.checkpoint.config();
    let state = setup.state(common)?;
    let anchors = setup.classes.iter().map(|class| sdp_anchors(&setup, class)).collect::<Result<Vec<_>>>()?;
    let vision = setup.vision()?;
    let mut initial = Initial::new(setup.seed, &setup.device);
    let weights = linear_weights(&mut initial, setup.levels.len(), config.vision.width, config.embed_dim)?;
    let rate = AdamSettings { rate: args.rate, ..LinearStage::ADAM };
    let stage = LinearStage::new(&vision, &setup.levels, weights, common.fidelity.into(), rate)?;
    let mut stage = Anchored { stage, anchors };
    let start = restore(state.as_ref(), &mut stage, &setup)?;
    let plan = StagePlan {
        batch: args.batch,
        epochs: args.epochs,
        shuffled: false,
        augmentation: Augmentation::None,
        chain: Chain::ResizeThenRgb,
    };
    let ended = setup.run(common, plan).train(&mut stage, start, |stage, epoch| {
        let header = setup.header(Method::SdpPlus, epoch.to_string());
        write(&setup.place.epoch(epoch), header.clone(), &[], stage.adam())?;
        write(&setup.place.latest(), header, &[], stage.adam())
    })?;
    match ended {
        Ended::Stopped => stopped(&setup.place),
        Ended::Finished => done(&setup.place.latest()),
    }
}

fn restore(state: Option<&TrainingState>, stage: &mut dyn Stage, setup: &Setup) -> Result<(usize, usize)> {
    match state {
        Some(state) => {
            state.restore(stage.adam_mut(), &setup.place.state(), &setup.device)?;
            Ok((state.position.epoch, state.position.batch))
        }
        None => Ok((0, 0)),
    }
}

/// Writes adapters: what is trained, and tensors beside it.
fn write(
    path: &Path,
    header: AdapterHeader,
    beside: &[(String, Vec<usize>, Vec<f32>)],
    adam: &Adam,
) -> Result<()> {
    let mut tensors = beside.to_vec();
    for trained in &adam.trained {
        let values = trained.var.flatten_all()?.to_vec1::<f32>()?;
        tensors.push((trained.name.clone(), trained.var.dims().to_vec(), values));
    }
    AdapterFile::from_values(path, header, tensors)?.write(path)
}

/// New weights, with those of a file in their place where it has them.
fn started(
    weights: Vec<(String, Tensor)>,
    file: &AdapterFile,
    device: &Device,
) -> Result<Vec<(String, Tensor)>> {
    let start = |(name, new): (String, Tensor)| match file.values(&name) {
        None => Ok((name, new)),
        Some((shape, values)) if shape == new.dims() => {
            Ok((name, Tensor::from_slice(values, shape, device)?))
        }
        Some((shape, _)) => Err(Error::Setting(format!(
            "{}: `{name}` has the shape {shape:?}, expected {:?}",
            file.path().display(),
            new.dims()
        ))),
    };
    weights.into_iter().map(start).collect()
}

fn text_tensors(file: &AdapterFile) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let text = file.tensors().filter(|(name, _)| name.starts_with("text_adapter."));
    let named = text
        .filter_map(|(name, _)| file.values(name).map(|(s, v)| (name.to_owned(), s.to_vec(), v.to_vec())));
    named.collect()
}

fn sentences(setup: &Setup) -> Result<Vec<ClassSentences>> {
    let tokenizer = setup.checkpoint.tokenizer(SpecialTokens::AaClip)?;
    let of = |polarity, text: &str| -> Result<Vec<_>> {
        let sentences = setup.prompts.sentences(polarity, text);
        sentences.iter().map(|s| Ok(tokenizer.encode(s)?)).collect()
    };
    let class = |class: &ClassName| {
        Ok(ClassSentences {
            normal: of(Polarity::Normal, &class.text)?,
            abnormal: of(Polarity::Abnormal, &class.text)?,
        })
    };
    setup.classes.iter().map(class).collect()
}

/// The anchors that stage 2 compares with.
fn class_anchors(
    setup: &Setup,
    class: &ClassName,
    text: Option<&AdapterFile>,
    args: &AaClipArgs,
) -> Result<Tensor> {
    let options =
        AaClipOptions { text_adapt_weight: Some(args.text_adapt_weight), ..AaClipOptions::default() };
    let fit = text.map(|file| AdapterFit::new(file, setup.checkpoint.config(), &setup.device));
    let adapter = fit.map(|fit| fit.text(&options)).transpose()?.flatten();
    let request = AnchorRequest {
        activation: Some(setup.activation),
        ..AnchorRequest::aa_clip(setup.prompts.clone(), &class.text, adapter)
    };
    columns(&text_anchors(&setup.checkpoint, &request, &AnchorCache::disabled(), &setup.device)?, setup)
}

fn sdp_anchors(setup: &Setup, class: &ClassName) -> Result<Tensor> {
    let request = AnchorRequest {
        activation: Some(setup.activation),
        ..AnchorRequest::new(setup.prompts.clone(), &class.text, Representative::Mean)
    };
    columns(&text_anchors(&setup.checkpoint, &request, &AnchorCache::new(), &setup.device)?, setup)
}

/// `[D, 2]`
fn columns(anchors: &Anchors, setup: &Setup) -> Result<Tensor> {
    let values = anchors.normal.iter().zip(&anchors.abnormal).flat_map(|(&n, &a)| [n, a]);
    Ok(Tensor::from_iter(values, &setup.device)?.reshape((anchors.normal.len(), 2))?)
}

fn stopped(place: &Place) -> Result<ExitCode> {
    messages::warn(format!("stopped; `--resume` goes on from {}", place.state().display()));
    Ok(ExitCode::from(EXIT_ERROR))
}

fn done(adapters: &Path) -> Result<ExitCode> {
    messages::print(format!("{}\n", adapters.display()))?;
    Ok(ExitCode::SUCCESS)
}
