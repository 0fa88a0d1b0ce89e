//! The command line: parsing, dispatch and exit codes. One file per subcommand.

mod adapters;
mod calibrate;
mod classes;
mod data;
mod detect;
mod detect_args;
mod detect_output;
mod detector_args;
mod eval;
mod eval_args;
mod eval_report;
mod inputs;
mod model;
mod models;
mod prompts;
mod scorers;
mod scoring;
mod scoring_args;
mod session;
mod stats;
mod stop;
mod train;
mod train_args;
mod train_data;
mod train_plot;
mod train_setup;
mod worker;

use std::num::NonZeroUsize;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exit code of a run in which anything failed: usage, set-up or at least one input.
pub const EXIT_ERROR: u8 = 2;

/// Pictures that are worked on at a time, at most: each holds what one pass through the tower needs.
const IN_FLIGHT: usize = 4;

/// Pictures to work on at a time: while one is decoded or written, another has the processors for its tower.
fn in_flight() -> usize {
    rayon::current_num_threads().min(IN_FLIGHT)
}

/// Zero-shot visual anomaly detection.
#[derive(Debug, Parser)]
#[command(name = "aaclip", version, about, long_about = None)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Threads to compute with [default: what this process may use]. Scores do not depend on it
    #[arg(long, global = true, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Detect(Box<detect_args::DetectArgs>),
    Eval(Box<eval_args::EvalArgs>),
    Models(models::ModelsArgs),
    Adapters(adapters::AdaptersArgs),
    Prompts(prompts::PromptsArgs),
    Train(train_args::TrainArgs),
    Calibrate(Box<calibrate::CalibrateArgs>),
    Data(data::DataArgs),
    Worker(Box<worker::WorkerArgs>),
}

/// Defines the command line's names of a library enum.
macro_rules! names {
    ($name:ident => $target:ty { $($(#[$doc:meta])* $variant:ident $(= $text:literal)? => $value:expr),+ $(,)? }) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
        pub enum $name { $($(#[$doc])* $(#[value(name = $text)])? $variant),+ }

        impl From<$name> for $target {
            fn from(name: $name) -> Self {
                match name { $($name::$variant => $value),+ }
            }
        }
    };
}
use names;

/// Runs the program on the process's arguments.
pub fn run() -> ExitCode {
    silence_guarded();
    let cli = Cli::parse();
    if let Some(threads) = cli.threads {
        // Fails only where a pool exists already, and nothing ran before this.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads.get()).build_global();
    }
    let result = match cli.command {
        Command::Detect(args) => detect::run(*args),
        Command::Adapters(args) => adapters::run(args),
        Command::Eval(args) => eval::run(*args),
        Command::Models(args) => models::run(args),
        Command::Prompts(args) => prompts::run(args),
        Command::Train(args) => train::run(args),
        Command::Calibrate(args) => calibrate::run(*args),
        Command::Data(args) => data::run(args),
        Command::Worker(args) => worker::run(*args),
    };
    match result {
        Ok(code) => code,
        Err(e) if is_closed_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => {
            anstream::eprintln!("aaclip: {e}");
            ExitCode::from(EXIT_ERROR)
        }
    }
}

/// A picture on which a decoder panics is reported as damaged, like any other: the panic itself is not.
fn silence_guarded() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !aaclip::is_guarded() {
            report(info);
        }
    }));
}

/// A reader that went away (`aaclip ... | head`) has what it wanted: that is success.
fn is_closed_pipe(e: &aaclip::Error) -> bool {
    matches!(e, aaclip::Error::Io { source, .. } if source.kind() == std::io::ErrorKind::BrokenPipe)
}
