//! The arguments of `aaclip train`.

use std::path::PathBuf;

use aaclip::methods::METHODS;
use aaclip::train::TrainingFidelity;
use aaclip::{Method, methods::training::Trainer};
use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};

use crate::cli::args::detector::ActivationName;
use crate::cli::args::method::{OptionArgs, argument};
use crate::cli::args::names;

const EXAMPLES: &str = "\
Examples:
  aaclip train aa-clip --data visa:VisA/ --model ViT-L-14-336 --out visa-adapters
  aaclip train aa-clip --data lines.jsonl --data parts/ --model my-clip/ --out mine --shots 16
  aaclip train aa-clip ... --out visa-adapters --resume        # continues where it was interrupted
  aaclip train sdp-plus --data mvtec:mvtec/ --model ViT-B-16-plus-240 --out mvtec-linear
  aaclip train plot visa-adapters/train.jsonl -o curves.html
  aaclip detect part.png --adapters visa-adapters/adapters.safetensors

--out contains adapters.safetensors (the latest), epoch-N.safetensors, text.safetensors (AA-CLIP,
after stage 1), state.safetensors (for --resume: optimiser and position) and train.jsonl (a line
per step).
Ctrl-C finishes the step, saves and ends with exit code 2; a resumed run gives the same bits as an
uninterrupted one (on the CPU).

Defaults are those of the official code. --fidelity reference also keeps its quirks: AA-CLIP's first
stage attends over the pictures of a batch and learns from the last level alone; SDP+ trains on
features with in-place updates, in the order of the data set, without augmentation.";

/// Train adapters on labelled pictures.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct TrainArgs {
    #[command(subcommand)]
    pub action: Action,
}

/// A method to train, or another action on a run.
#[derive(Debug)]
pub enum Action {
    /// Train a method.
    Train(Box<Chosen>),
    /// Draw the losses of a run as a page.
    Plot(PlotArgs),
}

/// A method with its training options.
#[derive(Debug)]
pub struct Chosen {
    pub method: &'static Method,
    pub trainer: &'static Trainer,
    pub common: CommonArgs,
    pub options: OptionArgs,
}

/// Draw the losses of a run as a page
#[derive(Debug, clap::Args)]
pub struct PlotArgs {
    /// A run's train.jsonl
    pub log: PathBuf,
    /// The page to write
    #[arg(long, short, value_name = "FILE", default_value = "train.html")]
    pub out: PathBuf,
}

/// The methods that can be trained.
fn trainers() -> impl Iterator<Item = (&'static Method, &'static Trainer)> {
    METHODS.iter().filter_map(|method| Some((*method, method.trainer?)))
}

impl Subcommand for Action {
    fn augment_subcommands(command: Command) -> Command {
        let command = command.subcommand_required(true).arg_required_else_help(true);
        let with_trainers = trainers().fold(command, |command, (method, trainer)| {
            let of_method = Command::new(method.name).about(trainer.about).after_long_help(EXAMPLES);
            let options = trainer.options.iter().map(|option| argument(option));
            command.subcommand(CommonArgs::augment_args(of_method).args(options))
        });
        let plot = PlotArgs::augment_args(Command::new("plot"));
        with_trainers.subcommand(plot.about("Draw the losses of a run as a page"))
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        name == "plot" || trainers().any(|(method, _)| method.name == name)
    }
}

impl FromArgMatches for Action {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let Some((name, matches)) = matches.subcommand() else {
            return Err(clap::Error::raw(clap::error::ErrorKind::MissingSubcommand, "no method is named"));
        };
        match trainers().find(|(method, _)| method.name == name) {
            Some((method, trainer)) => Ok(Self::Train(Box::new(Chosen {
                method,
                trainer,
                common: CommonArgs::from_arg_matches(matches)?,
                options: OptionArgs::of(trainer.options.iter().copied(), matches),
            }))),
            None => Ok(Self::Plot(PlotArgs::from_arg_matches(matches)?)),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The arguments common to all methods.
#[derive(Debug, clap::Args)]
pub struct CommonArgs {
    /// Labelled pictures: a data set as for `aaclip eval`, or DATASET:ROOT if AA-CLIP describes its classes
    #[arg(long, value_name = "[DATASET:]ROOT", required = true)]
    pub data: Vec<String>,

    /// The model: a name of `aaclip models list`, or a folder with a configuration and weights
    #[arg(long, value_name = "NAME|DIR", env = "AACLIP_MODEL")]
    pub model: Option<String>,

    /// Folder for adapters, state and log
    #[arg(long, short, value_name = "DIR")]
    pub out: PathBuf,

    /// Continue the run in that folder
    #[arg(long)]
    pub resume: bool,

    /// The object in the pictures, for all classes; the built-in model is always trained with `object`
    #[arg(long, value_name = "TEXT")]
    pub class: Option<String>,

    /// At most this many good and this many defective pictures of each class, chosen by the seed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub shots: Option<u32>,

    /// Seed of new weights, orders, augmentation and --shots [default: 111 for AA-CLIP, 42 for SDP+]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Train as the official code does, or as the paper describes
    #[arg(long, value_enum, default_value_t = TrainingFidelityName::Reference)]
    pub fidelity: TrainingFidelityName,

    /// Blocks whose features are compared, counted from 1 [default: the ends of the tower's quarters]
    #[arg(long, value_name = "3,6,9,12", value_delimiter = ',')]
    pub levels: Vec<usize>,

    /// Side of the model's square input, in pixels [default: the model's own]
    #[arg(long, value_name = "N", value_parser = crate::cli::args::detector::parse_image_size)]
    pub image_size: Option<usize>,

    /// The towers' activation, if it is not the method's
    #[arg(long, value_enum)]
    pub activation: Option<ActivationName>,

    /// The prompt ensemble [default: the method's]
    #[arg(long, value_name = "NAME|FILE")]
    pub prompts: Option<String>,

    /// Stop after this many steps, as with Ctrl-C
    #[arg(long, value_name = "N")]
    pub max_steps: Option<usize>,

    /// Where to compute: cpu, cuda, cuda:N or metal
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub device: aaclip::device::DeviceChoice,
}

names!(TrainingFidelityName => TrainingFidelity {
    /// As the official code
    Reference => TrainingFidelity::Reference,
    /// As the paper
    Clean => TrainingFidelity::Clean,
});
