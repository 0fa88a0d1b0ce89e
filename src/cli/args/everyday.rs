//! The short help of `detect`: `-h` shows these options, each in one line; `--help` shows all.

use clap::{Arg, Command};

/// The options of `-h`, and their text there.
const DETECT: &[(&str, &str)] = &[
    ("out", "Folder for overlays, heatmaps and results.jsonl"),
    ("threshold", "Score from which a picture is anomalous, or a file of `calibrate`"),
    ("class", "The object in the pictures, for the prompts [default: object]"),
    ("save", "Files per picture [default with --out: heatmap,overlay,map]"),
    ("format", "Form of the results on stdout"),
    ("fail_on_anomaly", "Exit with 1 if any picture is anomalous"),
    ("sort", "Order of the results on stdout"),
    ("top", "Only the N highest scores"),
    ("only_anomalous", "Only pictures at or above the threshold"),
    ("copy_anomalous", "Copy the pictures at or above the threshold to DIR"),
    ("include", "In folders take only files that match"),
    ("exclude", "In folders leave out what matches"),
    ("watch", "Score pictures as they appear, until Ctrl-C"),
    ("model", "Name of `aaclip models list`, folder or weights file"),
    ("method", "How a map and a score are made; see `aaclip methods`"),
    ("tile", "Squares of SIZE pixels, for small damage in large pictures"),
    ("threads", "Threads to compute with"),
    ("quiet", "Print only errors"),
];

const AFTER: &str = "\
Try: aaclip detect photos/ -o results && aaclip report results
All options, files, scores and exit codes: aaclip detect --help";

/// Gives `detect` its short help.
pub fn shorten(command: Command) -> Command {
    command
        .mut_args(|arg: Arg| match DETECT.iter().find(|(id, _)| arg.get_id() == *id) {
            Some((_, short)) => {
                let long = arg.get_long_help().or(arg.get_help()).cloned();
                let arg = arg.help(*short);
                match long {
                    Some(long) => arg.long_help(long),
                    None => arg,
                }
            }
            None if arg.is_positional() => {
                let long = arg.get_help().cloned().unwrap_or_default();
                arg.help("Files, folders, patterns, or `-` for a list of paths on stdin").long_help(long)
            }
            None => arg.hide_short_help(true),
        })
        .after_help(AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::detect::DetectArgs;
    use clap::Args;

    #[test]
    fn every_option_exists() {
        let command = DetectArgs::augment_args(Command::new("detect"));
        let known: Vec<&str> = command.get_arguments().map(|arg| arg.get_id().as_str()).collect();
        for (id, _) in DETECT.iter().filter(|(id, _)| !matches!(*id, "threads" | "quiet")) {
            assert!(known.contains(id), "{id}");
        }
    }
}
