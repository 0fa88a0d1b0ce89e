//! `aaclip train`.

mod plot;

use std::process::ExitCode;

use aaclip::methods::training::{RunFolder, Training, TrainingSource};
use aaclip::methods::{OptionValues, Setup, options};
use aaclip::train::Ended;
use aaclip::{Result, models};

use crate::cli::args::train::{Action, Chosen, TrainArgs};
use crate::cli::{EXIT_ERROR, messages, stop};

pub fn run(args: TrainArgs) -> Result<ExitCode> {
    match args.action {
        Action::Train(chosen) => train(&chosen),
        Action::Plot(args) => plot::run(&args.log, &args.out),
    }
}

fn train(chosen: &Chosen) -> Result<ExitCode> {
    let mut training = set_up(chosen)?;
    match (chosen.trainer.train)(&mut training)? {
        Ended::Stopped => {
            let state = training.folder.state();
            messages::warn(format!("stopped; `--resume` continues from {}", state.display()));
            Ok(ExitCode::from(EXIT_ERROR))
        }
        Ended::Finished => {
            let [latest, text] = [training.folder.latest(), training.folder.text()];
            let written = if latest.exists() { latest } else { text };
            messages::print(format!("{}\n", written.display()))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn set_up(chosen: &Chosen) -> Result<Training> {
    let Chosen { method, trainer, common, .. } = chosen;
    let folder = RunFolder::open(&common.out, common.resume)?;
    let model = models::resolve(common.model.as_deref())?;
    let mut of_method = OptionValues::default();
    if !common.levels.is_empty() {
        let levels: Vec<String> = common.levels.iter().map(usize::to_string).collect();
        of_method.set(&options::LEVELS, &levels.join(","))?;
    }
    if let Some(prompts) = &common.prompts {
        of_method.set(&options::PROMPTS, prompts)?;
    }
    let mut setup = Setup::new(method, model.open()?);
    setup.options = of_method;
    setup.image_size = common.image_size;
    setup.activation = common.activation.map(Into::into);
    setup.trained_activation = model.activation;
    setup.device = common.device.open()?;
    let mut said = OptionValues::default();
    for (name, value) in &chosen.options.0 {
        if let Some(option) = trainer.options.iter().find(|option| option.name == *name) {
            said.set(option, value)?;
        }
    }
    let source = TrainingSource {
        data: &common.data,
        class: common.class.as_deref(),
        shots: common.shots.map(|n| n as usize),
        described: method.describes_classes,
        seed: common.seed.unwrap_or(trainer.seed),
    };
    let mut training = Training::new(setup, trainer, folder, &source, common.fidelity.into())?;
    training.data.problems.iter().for_each(messages::error);
    training.model = model.name;
    training.options = said;
    training.stop = stop::on_signal("finishing this step");
    training.max_steps = common.max_steps;
    training.progress = messages::progress();
    Ok(training)
}
