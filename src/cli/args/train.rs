//! The arguments of `aaclip train`.

use std::path::PathBuf;

use aaclip::adapters::Share;
use aaclip::train::TrainingFidelity;
use clap::{Subcommand, ValueEnum};

use crate::cli::args::detector::ActivationName;
use crate::cli::args::names;

const EXAMPLES: &str = "\
Examples:
  aaclip train aa-clip --data visa:VisA/ --model ViT-L-14-336 --out visa-adapters
  aaclip train aa-clip --data lines.jsonl --data parts/ --model my-clip/ --out mine --shots 16
  aaclip train aa-clip ... --out visa-adapters --resume        # goes on where it was interrupted
  aaclip train sdp-plus --data mvtec:mvtec/ --model ViT-B-16-plus-240 --out mvtec-linear
  aaclip train plot visa-adapters/train.jsonl -o curves.html
  aaclip detect part.png --adapters visa-adapters/adapters.safetensors

--out holds adapters.safetensors (the latest), epoch-N.safetensors, text.safetensors (AA-CLIP, after
stage 1), state.safetensors (for --resume: optimiser and position) and train.jsonl (a line per step).
Ctrl-C finishes the step, saves and ends with exit code 2; a resumed run ends with the same bits as
one that was not interrupted (on the CPU).

Defaults are the official codes'. With --fidelity reference their quirks are kept: AA-CLIP's first
stage attends over the pictures of a batch and learns from the last level alone; SDP+ trains on
features with in-place updates, in the order of the data set, without augmentation.";

/// Train adapters on labelled pictures.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct TrainArgs {
    #[command(subcommand)]
    pub action: Action,
}

#[derive(Debug, Subcommand)]
pub enum Action {
    /// AA-CLIP: text adapters first, then image adapters
    #[command(after_long_help = EXAMPLES)]
    AaClip(Box<AaClipArgs>),
    /// SDP+: a linear layer per level
    #[command(after_long_help = EXAMPLES)]
    SdpPlus(Box<SdpPlusArgs>),
    /// Draw the losses of a run as a page
    Plot {
        /// A run's train.jsonl
        log: PathBuf,
        /// The page to write
        #[arg(long, short, value_name = "FILE", default_value = "train.html")]
        out: PathBuf,
    },
}

/// What both methods need.
#[derive(Debug, clap::Args)]
pub struct CommonArgs {
    /// Labelled pictures: what `aaclip eval` takes, or DATASET:ROOT for a data set whose classes AA-CLIP describes
    #[arg(long, value_name = "[DATASET:]ROOT", required = true)]
    pub data: Vec<String>,

    /// The model: a name of `aaclip models list`, or a folder with a configuration and weights
    #[arg(long, value_name = "NAME|DIR", env = "AACLIP_MODEL")]
    pub model: Option<String>,

    /// Folder for adapters, state and log
    #[arg(long, short, value_name = "DIR")]
    pub out: PathBuf,

    /// Go on with what is in that folder
    #[arg(long)]
    pub resume: bool,

    /// What the pictures show, for all classes
    #[arg(long, value_name = "TEXT")]
    pub class: Option<String>,

    /// At most this many good and this many defective pictures of each class, chosen by the seed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub shots: Option<u32>,

    /// Decides new weights, orders, augmentation and --shots [default: 111 for AA-CLIP, 42 for SDP+]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// What the official code does, or what the paper describes
    #[arg(long, value_enum, default_value_t = TrainingFidelityName::Reference)]
    pub fidelity: TrainingFidelityName,

    /// Blocks whose features are compared, counted from 1 [default: the ends of the tower's quarters]
    #[arg(long, value_name = "3,6,9,12", value_delimiter = ',')]
    pub levels: Vec<usize>,

    /// Side of the square the model looks at, in pixels [default: the model's own]
    #[arg(long, value_name = "N", value_parser = crate::cli::args::detector::parse_image_size)]
    pub image_size: Option<usize>,

    /// The towers' activation, if it is not the method's
    #[arg(long, value_enum)]
    pub activation: Option<ActivationName>,

    /// The prompt ensemble [default: the method's]
    #[arg(long, value_name = "NAME|FILE")]
    pub prompts: Option<String>,

    /// Stop, as Ctrl-C does, after this many steps
    #[arg(long, value_name = "N")]
    pub max_steps: Option<usize>,

    /// Where to compute: cpu, cuda, cuda:N or metal
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub device: aaclip::device::DeviceChoice,
}

/// `aaclip train aa-clip`
#[derive(Debug, clap::Args)]
pub struct AaClipArgs {
    #[command(flatten)]
    pub common: CommonArgs,

    /// Which stages to run
    #[arg(long, value_enum, default_value_t = StageName::Both)]
    pub stage: StageName,

    /// Text adapters for the second stage alone: a file or checkpoint folder
    #[arg(long, value_name = "PATH")]
    pub text_adapters: Option<PathBuf>,

    /// Start the second stage from these image adapters instead of new ones; what they lack is new
    #[arg(long, value_name = "PATH")]
    pub init: Option<PathBuf>,

    /// Epochs of the first stage
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub text_epochs: usize,

    /// Epochs of the second stage
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub image_epochs: usize,

    /// Pictures per step of the first stage
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = positive)]
    pub text_batch: usize,

    /// Pictures per step of the second stage
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = positive)]
    pub image_batch: usize,

    /// Learning rate of the first stage
    #[arg(long, value_name = "X", default_value_t = 1e-5, value_parser = learning_rate)]
    pub text_rate: f64,

    /// Learning rate of the second stage; halved after 16,000 and 32,000 steps
    #[arg(long, value_name = "X", default_value_t = 5e-4, value_parser = learning_rate)]
    pub image_rate: f64,

    /// Text blocks with an adapter [default: 3, or as many as there are]
    #[arg(long, value_name = "N")]
    pub text_adapt_until: Option<usize>,

    /// Image blocks with an adapter [default: 6, or as many as there are]
    #[arg(long, value_name = "N")]
    pub image_adapt_until: Option<usize>,

    /// Weight of the text adapters, 0..1
    #[arg(long, value_name = "X", default_value = "0.1", value_parser = crate::cli::args::detector::parse_share)]
    pub text_adapt_weight: Share,

    /// Weight of the image adapters, 0..1
    #[arg(long, value_name = "X", default_value = "0.1", value_parser = crate::cli::args::detector::parse_share)]
    pub image_adapt_weight: Share,

    /// Put a leaky ReLU after the image projections
    #[arg(long)]
    pub relu: bool,

    /// No augmentation
    #[arg(long)]
    pub no_augmentation: bool,
}

/// `aaclip train sdp-plus`
#[derive(Debug, clap::Args)]
pub struct SdpPlusArgs {
    #[command(flatten)]
    pub common: CommonArgs,

    /// Epochs
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub epochs: usize,

    /// Pictures per step
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = positive)]
    pub batch: usize,

    /// Learning rate
    #[arg(long, value_name = "X", default_value_t = 1e-4, value_parser = learning_rate)]
    pub rate: f64,
}

names!(TrainingFidelityName => TrainingFidelity {
    /// As the official code
    Reference => TrainingFidelity::Reference,
    /// As the paper
    Clean => TrainingFidelity::Clean,
});

/// AA-CLIP's stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StageName {
    /// The first: text adapters
    Text,
    /// The second: image adapters
    Image,
    /// One after the other
    Both,
}

fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "expected a whole number from 1".to_owned())
}

fn learning_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if x > 0.0 && x <= 1.0 => Ok(x),
        _ => Err("expected a number above 0, at most 1".to_owned()),
    }
}
