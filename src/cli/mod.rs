//! The command line: parsing, dispatch and exit codes.

mod args;
mod classes;
mod commands;
mod doubts;
mod inputs;
mod messages;
mod parse;
mod scorers;
mod scoring;
mod settings;
mod stats;
mod stop;
mod threads;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use commands::Command;

/// Exit code of a run with any failure: usage, set-up or at least one input.
pub const EXIT_ERROR: u8 = 2;

/// The exit code of a run: whether everything went well.
fn exit_code(is_fine: bool) -> ExitCode {
    if is_fine { ExitCode::SUCCESS } else { ExitCode::from(EXIT_ERROR) }
}

/// Pictures that are worked on at a time, at most: each needs the memory of one pass through the tower.
const IN_FLIGHT: usize = 4;

/// Number of pictures processed at the same time: while one is decoded or written, another uses the
/// processors.
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
    global: args::global::Global,
}

/// Runs the program on the process's arguments.
pub fn run() -> ExitCode {
    silence_guarded();
    let parsed = match parse::parse::<Cli>(std::env::args_os().collect()) {
        Ok(parsed) => parsed,
        Err(code) => return code,
    };
    let started = Instant::now();
    if let Err(e) = parsed.cli.global.start() {
        messages::error(&e);
        return ExitCode::from(EXIT_ERROR);
    }
    parsed.report();
    let Cli { command, global } = parsed.cli;
    let costs = !matches!(command, Command::Detect(_) | Command::Eval(_));
    let result = command.run(&global, &parsed.applied);
    // The other commands print their costs together with their counts.
    if costs {
        messages::note(|| stats::cost(started));
    }
    match result {
        Ok(code) => code,
        Err(e) if is_closed_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => {
            messages::error(messages::advised(&e));
            parse::explain(&e.to_string(), &parsed.applied);
            ExitCode::from(EXIT_ERROR)
        }
    }
}

/// A picture that makes a decoder panic is reported as damaged; the panic itself is not reported.
fn silence_guarded() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !aaclip::is_guarded() {
            report(info);
        }
    }));
}

/// A closed pipe (`aaclip ... | head`) means that the reader has enough: that is success.
fn is_closed_pipe(e: &aaclip::Error) -> bool {
    matches!(e, aaclip::Error::Io { source, .. } if source.kind() == std::io::ErrorKind::BrokenPipe)
}
