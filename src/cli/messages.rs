//! Messages of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::OnceLock;

use aaclip::anchors::AnchorError;
use aaclip::batch::BatchError;
use aaclip::clip::Checkpoint;
use aaclip::dataset::{DatasetError, Problem, ProblemKind};
use aaclip::evaluation::EvaluationError;
use aaclip::methods::TrainedError;
use aaclip::models::{HubError, Registry};
use aaclip::output::{Patient, printable};
use aaclip::passed::PassedOver;
use aaclip::progress::Progress;
use aaclip::weights::{WeightsError, builtin};
use aaclip::{Detector, Error, Result};
use anstream::adapter::strip_str;
use anstream::stream::{AsLockedWrite, RawStream};
use anstream::{AutoStream, ColorChoice};

use crate::cli::args::global::Verbosity;

static VERBOSITY: OnceLock<Verbosity> = OnceLock::new();

/// Sets the verbosity of the whole run. Only the first call counts.
pub fn set(verbosity: Verbosity) {
    let _ = VERBOSITY.set(verbosity);
}

/// The verbosity given by the command line and the settings file.
pub fn verbosity() -> Verbosity {
    VERBOSITY.get().copied().unwrap_or_default()
}

/// Whether long tasks show their progress.
pub fn progress() -> Progress {
    verbosity().progress()
}

/// Writes a text to stderr. One that cannot be written is lost: a run goes on without its messages.
pub fn say(text: &str) {
    let _ = write_coloured(anstream::stderr().lock(), text);
}

/// Reports an error that does not end the run: on stderr, also with `--quiet`.
pub fn error(message: impl std::fmt::Display) {
    let message = message.to_string();
    let lines: Vec<_> = message.lines().map(printable).collect();
    say(&format!("aaclip: {}\n", lines.join("\n")));
}

/// Reports a warning: on stderr, unless `--quiet`.
pub fn warn(message: impl std::fmt::Display) {
    if !verbosity().quiet {
        error(message);
    }
}

/// Says what was passed over, if anything.
pub fn passed_over(passed: &PassedOver) {
    if !passed.is_empty() {
        warn(format!("passed over: {passed}"));
    }
}

/// Warns of the class texts of detectors, once of each.
pub fn cautions<'a>(detectors: impl IntoIterator<Item = &'a Detector>) {
    let all: BTreeSet<&str> = detectors.into_iter().filter_map(|d| d.class().caution()).collect();
    all.into_iter().for_each(|caution| warn(format!("warning: {caution}")));
}

/// Warnings about the files of a data set: one line for each kind, with the first file, the number and advice.
pub fn doubts(warnings: &[Problem]) -> Vec<String> {
    let mut kinds: BTreeMap<ProblemKind, (&Problem, usize)> = BTreeMap::new();
    warnings.iter().for_each(|warning| kinds.entry(warning.kind).or_insert((warning, 0)).1 += 1);
    let line = |(kind, (first, count)): (_, (&Problem, usize))| {
        let more = if count > 1 { format!("; {count} such masks") } else { String::new() };
        let advice = match kind {
            ProblemKind::LossyMask => "; masks in PNG are exact",
            ProblemKind::TurnedPicture => "; --orientation ignore reads pictures in that grid",
            _ => "",
        };
        format!("warning: {first}{more}{advice}")
    };
    kinds.into_iter().map(line).collect()
}

/// Reports a choice or a cost: on stderr, only with `--verbose`.
pub fn note(message: impl FnOnce() -> String) {
    if verbosity().verbose {
        say(&format!("aaclip: {}\n", message()));
    }
}

/// An error with the command line's advice; the library's errors state only facts.
pub fn advised(error: &Error) -> String {
    let advice = match error {
        Error::Trained(trained) => match &**trained {
            TrainedError::OtherModel { image_width: Some(width), .. } => {
                return with_models_of_width(error, *width);
            }
            TrainedError::Missing { .. } => "name them with --adapters",
            _ => return error.to_string(),
        },
        Error::Hub(HubError::Offline { .. }) => "unset it, or name a folder with --model",
        Error::Hub(HubError::Unreachable { .. }) => {
            "check the network, set HF_ENDPOINT to a mirror, or copy the model to this machine and name its folder with \
             --model"
        }
        Error::Hub(HubError::Certificate { .. }) => {
            "if a proxy of your network reads what it passes on, name a file with its certificate in SSL_CERT_FILE"
        }
        Error::Weights(WeightsError::NotClip { .. }) => {
            "--model names a whole model, --adapters trained weights for one"
        }
        Error::Batch(BatchError::OtherParts { .. }) => {
            "name another folder with --out, or remove those results"
        }
        Error::Batch(BatchError::OtherPicture { .. }) => {
            "name another folder with --out, or start over in this one with --restart"
        }
        Error::Batch(BatchError::Watch(..)) => "--poll SECONDS searches it regularly instead",
        Error::Batch(BatchError::OutputIsInput(_)) => {
            "name another folder with --out; it may be inside this one, as the search omits it"
        }
        Error::Batch(BatchError::CopiesInInput { .. }) => {
            "name another folder with --copy-anomalous, or leave it out of the search with --exclude"
        }
        Error::Batch(BatchError::OtherCopy { .. }) => {
            "remove that file, or name another folder with --copy-anomalous"
        }
        Error::Evaluation(EvaluationError::Foreign { .. }) => "name another folder with --out",
        Error::Dataset(DatasetError::UnknownLayout { .. }) => {
            "name a layout with --layout to see what is missing"
        }
        Error::Anchors(AnchorError::NoCluster { .. }) => {
            "raise --anchor-eps, lower --anchor-min-samples, or use --anchors mean"
        }
        _ => return error.to_string(),
    };
    join(&error.to_string(), advice)
}

/// A fact and an advice: on one line, or on two if the fact has several.
fn join(fact: &str, advice: &str) -> String {
    format!("{fact}{}{advice}", if fact.contains('\n') { "\n" } else { "; " })
}

/// The error about adapters for another model, with the names of known models that fit.
fn with_models_of_width(error: &Error, width: usize) -> String {
    let known = Registry::load().ok();
    let of_width = known.iter().flat_map(Registry::entries).filter(|e| e.width == width);
    let builtin_fits = Checkpoint::builtin().is_ok_and(|model| model.config().vision.width == width);
    let names: Vec<&str> =
        builtin_fits.then_some(builtin::NAME).into_iter().chain(of_width.map(|e| e.name.as_str())).collect();
    if names.is_empty() { error.to_string() } else { format!("{error} (as {} has)", names.join(", ")) }
}

/// An error about results of an earlier run with its remedies; `restart` is the flag that removes these
/// results.
pub fn advise(error: Error, restart: &str) -> Error {
    if !matches!(error, Error::Journal(_)) {
        return error;
    }
    let advice = format!("name another folder with --out, or start over in this one with {restart}");
    Error::Setting(join(&error.to_string(), &advice))
}

/// Writes a result to stdout.
///
/// # Errors
/// Stdout cannot be written to.
pub fn print(text: impl AsRef<[u8]>) -> Result<()> {
    write(io::stdout().lock(), text.as_ref()).map_err(|e| Error::io("write to", "stdout", e))
}

/// As [`print`], for a text with colours.
///
/// # Errors
/// Stdout cannot be written to.
pub fn print_coloured(text: &str) -> Result<()> {
    write_coloured(anstream::stdout().lock(), text).map_err(|e| Error::io("write to", "stdout", e))
}

/// Writes a text with its colours, or without where there are none. The colours are removed first, because a stream that
/// removes them cannot continue after an error.
fn write_coloured(stream: AutoStream<impl RawStream + AsLockedWrite>, text: &str) -> io::Result<()> {
    match stream.current_choice() {
        ColorChoice::Never => write(stream.into_inner(), strip_str(text).to_string().as_bytes()),
        _ => write(stream, text.as_bytes()),
    }
}

fn write(out: impl Write, text: &[u8]) -> io::Result<()> {
    let mut out = Patient(out);
    out.write_all(text).and_then(|()| out.flush())
}
