//! Messages of a run.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::OnceLock;

use aaclip::methods::TrainedError;
use aaclip::models::Registry;
use aaclip::output::printable;
use aaclip::progress::Progress;
use aaclip::{Detector, Error, Result};

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

/// Reports an error that does not end the run: on stderr, also with `--quiet`.
pub fn error(message: impl std::fmt::Display) {
    let message = message.to_string();
    let lines: Vec<_> = message.lines().map(printable).collect();
    anstream::eprintln!("aaclip: {}", lines.join("\n"));
}

/// Reports a warning: on stderr, unless `--quiet`.
pub fn warn(message: impl std::fmt::Display) {
    if !verbosity().quiet {
        error(message);
    }
}

/// Warns of the class texts of detectors, once of each.
pub fn cautions<'a>(detectors: impl IntoIterator<Item = &'a Detector>) {
    let all: BTreeSet<&str> = detectors.into_iter().filter_map(|d| d.class().caution()).collect();
    all.into_iter().for_each(|caution| warn(format!("warning: {caution}")));
}

/// Reports a choice or a cost: on stderr, only with `--verbose`.
pub fn note(message: impl FnOnce() -> String) {
    if verbosity().verbose {
        anstream::eprintln!("aaclip: {}", message());
    }
}

/// An error with the command line's advice; the library's errors state only facts.
pub fn advised(error: &Error) -> String {
    let Error::Trained(trained) = error else { return error.to_string() };
    let TrainedError::OtherModel { image_width: Some(width), .. } = &**trained else {
        return error.to_string();
    };
    let known = Registry::load().ok();
    let of_width = known.iter().flat_map(Registry::entries).filter(|e| e.width == *width);
    let names: Vec<&str> = of_width.map(|e| e.name.as_str()).collect();
    if names.is_empty() { error.to_string() } else { format!("{error} (as {} has)", names.join(", ")) }
}

/// An error about results of an earlier run with its remedies; `restart` is the flag that removes these
/// results.
pub fn advise(error: Error, restart: &str) -> Error {
    if !matches!(error, Error::Journal(_)) {
        return error;
    }
    let error = error.to_string();
    let separator = if error.contains('\n') { "\n" } else { "; " };
    let advice = format!("name another folder with --out, or start over in this one with {restart}");
    Error::Setting(error + separator + &advice)
}

/// Writes a result to stdout.
///
/// # Errors
/// Stdout cannot be written to.
pub fn print(text: impl AsRef<[u8]>) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_ref()).and_then(|()| out.flush()).map_err(|e| Error::io("write to", "stdout", e))
}
