//! The command line: parsing, dispatch and exit codes. One file per subcommand.

mod adapters;
mod calibrate;
mod classes;
mod completions;
mod config;
mod data;
mod detect;
mod detect_args;
mod detect_output;
mod detector_args;
mod doctor;
mod eval;
mod eval_args;
mod eval_report;
mod global;
mod inputs;
mod man;
mod messages;
mod model;
mod models;
mod number;
mod parse;
mod prompts;
mod report;
mod scorers;
mod scoring;
mod scoring_args;
mod serve;
mod session;
mod settings;
mod stats;
mod stop;
mod train;
mod train_args;
mod train_data;
mod train_plot;
mod train_setup;
mod worker;

use std::process::ExitCode;
use std::time::Instant;

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

    #[command(flatten)]
    global: global::Global,
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
    Serve(Box<serve::ServeArgs>),
    Report(report::ReportArgs),
    Config(config::ConfigArgs),
    Doctor(doctor::DoctorArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
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
    let parsed = match parse::parse::<Cli>(std::env::args_os().collect()) {
        Ok(parsed) => parsed,
        Err(code) => return code,
    };
    let Cli { command, global } = parsed.cli;
    let started = Instant::now();
    let costs = !matches!(command, Command::Detect(_) | Command::Eval(_));
    let result = global.start().and_then(|()| {
        settings::report(&parsed.settings, &parsed.applied);
        match command {
            Command::Detect(args) => detect::run(*args),
            Command::Adapters(args) => adapters::run(args),
            Command::Eval(args) => eval::run(*args),
            Command::Models(args) => models::run(args),
            Command::Prompts(args) => prompts::run(args),
            Command::Train(args) => train::run(args),
            Command::Calibrate(args) => calibrate::run(*args),
            Command::Data(args) => data::run(args),
            Command::Worker(args) => worker::run(*args),
            Command::Serve(args) => serve::run(*args),
            Command::Report(args) => report::run(args),
            Command::Config(args) => config::run(args, &global.selection()),
            Command::Doctor(args) => doctor::run(args, &global, &parsed.applied),
            Command::Completions(args) => completions::run(args),
            Command::Man(args) => man::run(args),
        }
    });
    // The others say it themselves, with what they counted.
    if costs {
        messages::note(|| stats::cost(started));
    }
    match result {
        Ok(code) => code,
        Err(e) if is_closed_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => {
            messages::error(&e);
            parse::explain(&e.to_string(), &parsed.applied);
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
