//! The subcommands, one file or folder each.

mod adapters;
mod calibrate;
mod completions;
mod config;
mod data;
mod detect;
mod doctor;
mod eval;
mod man;
mod methods;
mod models;
mod prompts;
mod report;
mod serve;
mod train;
mod worker;

use std::process::ExitCode;

use aaclip::Result;
use clap::Subcommand;

use crate::cli::args::detect::DetectArgs;
use crate::cli::args::eval::EvalArgs;
use crate::cli::args::global::Global;
use crate::cli::args::train::TrainArgs;
use crate::cli::settings::Applied;

#[derive(Debug, Subcommand)]
pub enum Command {
    Detect(Box<DetectArgs>),
    Eval(Box<EvalArgs>),
    Methods(methods::MethodsArgs),
    Models(models::ModelsArgs),
    Adapters(adapters::AdaptersArgs),
    Prompts(prompts::PromptsArgs),
    Train(TrainArgs),
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

impl Command {
    /// Runs the subcommand.
    ///
    /// # Errors
    /// An error ended it.
    pub fn run(self, global: &Global, applied: &[Applied]) -> Result<ExitCode> {
        match self {
            Self::Detect(args) => detect::run(*args),
            Self::Adapters(args) => adapters::run(args),
            Self::Eval(args) => eval::run(*args),
            Self::Methods(args) => methods::run(args),
            Self::Models(args) => models::run(args),
            Self::Prompts(args) => prompts::run(args),
            Self::Train(args) => train::run(args),
            Self::Calibrate(args) => calibrate::run(*args),
            Self::Data(args) => data::run(args),
            Self::Worker(args) => worker::run(*args),
            Self::Serve(args) => serve::run(*args),
            Self::Report(args) => report::run(args),
            Self::Config(args) => config::run(args, &global.selection()),
            Self::Doctor(args) => doctor::run(args, global, applied),
            Self::Completions(args) => completions::run(args),
            Self::Man(args) => man::run(args),
        }
    }
}
