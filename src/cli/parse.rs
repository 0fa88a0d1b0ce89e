//! The process's arguments, completed by the settings file.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode;

use aaclip::Result;
use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, Parser, ValueEnum};

use crate::cli::args::everyday::shorten;
use crate::cli::args::global::ColorName;
use crate::cli::messages;
use crate::cli::settings::{Applied, Selection, SettingsFile, apply, is_setting};
use crate::cli::{EXIT_ERROR, is_closed_pipe};

/// Commands that must work with an invalid settings file: those that report its problems, and those that a
/// shell runs at its start.
const WITHOUT_FAIL: [&str; 4] = ["config", "doctor", "completions", "man"];

/// A command line with the additions of the settings file.
pub struct Parsed<C> {
    /// The complete command line.
    pub cli: C,
    /// The settings from the file.
    pub applied: Vec<Applied>,
    /// The file.
    pub file: Option<PathBuf>,
}

impl<C> Parsed<C> {
    /// With `--verbose`, names the file and its settings.
    pub fn report(&self) {
        if let Some(file) = &self.file {
            messages::note(|| format!("settings read from {}", file.display()));
        }
        for setting in &self.applied {
            messages::note(|| format!("{} = {} ({})", setting.flag, setting.value, setting.origin));
        }
    }
}

/// Parses `arguments`, the program's name first.
///
/// # Errors
/// The exit code of a run that ends here: after the help or the version, or after a printed error.
pub fn parse<C: Parser>(arguments: Vec<OsString>) -> Result<Parsed<C>, ExitCode> {
    if let Some(color) = color(&arguments) {
        color.choose();
    }
    // Only the given arguments: the file may have the others.
    let given = command::<C>().ignore_errors(true).try_get_matches_from(&arguments).map_err(|e| end(&e))?;
    let (path, leaf) = leaf(&given);
    let (file, applied) = match settings(command::<C>(), &selection(&given), &path, leaf) {
        Ok(found) => found,
        Err(_) if path.first().is_some_and(|name| WITHOUT_FAIL.contains(name)) => Default::default(),
        Err(e) => {
            messages::error(&e);
            return Err(ExitCode::from(EXIT_ERROR));
        }
    };
    let completed = complete(arguments, &applied);
    let parsed = command::<C>().try_get_matches_from(completed).and_then(|matches| {
        let cli = C::from_arg_matches(&matches).map_err(|e| e.format(&mut command::<C>()))?;
        // clap detects contradictions only within one side of the command's name.
        let on = |id| matches.try_get_one::<bool>(id).ok().flatten() == Some(&true);
        if on("quiet") && on("verbose") {
            return Err(command::<C>().error(ErrorKind::ArgumentConflict, "--quiet contradicts --verbose"));
        }
        Ok(cli)
    });
    match parsed {
        Ok(cli) => Ok(Parsed { cli, applied, file }),
        Err(e) => {
            let e = with_hint(e);
            let code = end(&e);
            explain(&e.to_string(), &applied);
            Err(code)
        }
    }
}

/// Prints on stderr which flags of a message come from the settings file instead of the command line.
pub fn explain(message: &str, applied: &[Applied]) {
    for setting in applied.iter().filter(|s| !s.arguments.is_empty()) {
        if message.contains(&format!("--{}", setting.flag)) || names_file(message, setting) {
            messages::error(format!("--{} is set by {} ({})", setting.flag, setting.origin, setting.value));
        }
    }
}

/// Whether a message is about the file in a setting.
fn names_file(message: &str, setting: &Applied) -> bool {
    let start = format!("--{}=", setting.flag);
    let values = setting.arguments.iter().filter_map(|a| a.to_str()?.strip_prefix(&start));
    let mut files = values.filter(|v| v.contains(['/', '\\', '.']) && v.parse::<f64>().is_err());
    files.any(|file| message.contains(file))
}

/// The command line. An empty environment variable counts as not set.
fn command<C: Parser>() -> Command {
    fn without_empty(command: Command) -> Command {
        let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
        let set = |arg: clap::Arg| {
            if arg.get_env().is_some_and(is_empty) { arg.env(Resettable::Reset) } else { arg }
        };
        command.mut_args(set).mut_subcommands(without_empty)
    }
    let short = |command: Command| if command.get_name() == "detect" { shorten(command) } else { command };
    without_empty(C::command()).mut_subcommands(short)
}

/// The source of a flag's value.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The program.
    Default,
    /// The environment variable of this name.
    Environment(String),
    /// A line of a file.
    File(String),
}

/// A flag that is not on the command line, with its value.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Effective {
    /// The flag, without its dashes.
    pub flag: String,
    /// Its value; `None` without a value.
    pub value: Option<String>,
    /// The source of the value.
    pub source: Source,
}

/// The flags of the command at `path` and their values, if its command line has none of them.
///
/// # Errors
/// The settings file is invalid.
pub fn effective<C: Parser>(path: &[&str], selection: &Selection) -> Result<Vec<Effective>> {
    let arguments = ["aaclip"].iter().chain(path);
    let Ok(given) = command::<C>().ignore_errors(true).try_get_matches_from(arguments) else {
        return Ok(Vec::new());
    };
    let (found, leaf) = leaf(&given);
    let (_, applied) = settings(command::<C>(), selection, &found, leaf)?;
    let mut root = command::<C>();
    root.build();
    let Some(command) = path.iter().try_fold(&root, |c, name| c.find_subcommand(name)) else {
        return Ok(Vec::new());
    };
    let flags = command.get_arguments().filter(|a| is_setting(a));
    let one = |arg: &clap::Arg| {
        let flag = arg.get_long().unwrap_or_default().to_owned();
        if let Some(setting) = applied.iter().find(|s| s.flag == flag) {
            return Effective {
                flag,
                value: Some(setting.value.clone()),
                source: Source::File(setting.origin.clone()),
            };
        }
        let id = arg.get_id().as_str();
        let raw = leaf
            .try_get_raw(id)
            .ok()
            .flatten()
            .map(|all| all.map(|v| v.to_string_lossy().into_owned()).collect::<Vec<_>>().join(","));
        let source = match (leaf.value_source(id), arg.get_env()) {
            (Some(ValueSource::EnvVariable), Some(name)) => {
                Source::Environment(name.to_string_lossy().into_owned())
            }
            _ => Source::Default,
        };
        Effective { flag, value: raw, source }
    };
    Ok(flags.map(one).collect())
}

/// Parses `arguments`, the program's name first, as [`parse`] does, without running the command.
///
/// # Errors
/// The message that the program would have printed.
pub fn rehearse<C: Parser>(arguments: &[&str], selection: &Selection) -> Result<C, String> {
    let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
    let given =
        command::<C>().ignore_errors(true).try_get_matches_from(&arguments).map_err(|e| e.to_string())?;
    let (path, leaf) = leaf(&given);
    let (_, applied) = settings(command::<C>(), selection, &path, leaf).map_err(|e| e.to_string())?;
    let matches = command::<C>().try_get_matches_from(complete(arguments, &applied));
    matches.and_then(|found| C::from_arg_matches(&found)).map_err(|e| e.to_string())
}

/// The settings file, and its settings for a command.
fn settings(
    mut command: Command,
    selection: &Selection,
    path: &[&str],
    leaf: &ArgMatches,
) -> Result<(Option<PathBuf>, Vec<Applied>)> {
    command.build();
    if path.is_empty() {
        return Ok(Default::default());
    }
    let Some(file) = SettingsFile::load(selection, &command)? else { return Ok(Default::default()) };
    let applied = apply(&file, &command, path, leaf)?;
    Ok((Some(file.path), applied))
}

/// The names of the command and its subcommands, and the arguments of the last one.
fn leaf(matches: &ArgMatches) -> (Vec<&str>, &ArgMatches) {
    let mut path = Vec::new();
    let mut leaf = matches;
    while let Some((name, inner)) = leaf.subcommand() {
        path.push(name);
        leaf = inner;
    }
    (path, leaf)
}

fn selection(given: &ArgMatches) -> Selection {
    Selection {
        only: given.try_get_one::<PathBuf>("config").ok().flatten().cloned(),
        none: given.try_get_one::<bool>("no_config").ok().flatten() == Some(&true),
    }
}

/// Inserts the settings of the file after the given flags, before arguments that must not be read as flags.
fn complete(mut arguments: Vec<OsString>, applied: &[Applied]) -> Vec<OsString> {
    let end = arguments.iter().position(|a| a == "--").unwrap_or(arguments.len());
    arguments.splice(end..end, applied.iter().flat_map(|setting| setting.arguments.clone()));
    arguments
}

/// The value of `--color`, which the help and clap's errors need before parsing.
fn color(arguments: &[OsString]) -> Option<ColorName> {
    let flags = arguments.iter().skip(1).take_while(|a| *a != "--");
    let mut after = flags.clone().skip(1);
    let values = flags.filter_map(move |argument| {
        let next = after.next();
        let text = argument.to_str()?;
        match text.strip_prefix("--color=") {
            Some(value) => Some(value),
            None if text == "--color" => next.and_then(|n| OsStr::to_str(n)),
            None => None,
        }
    });
    values.filter_map(|value| ColorName::from_str(value, false).ok()).last()
}

/// The error about an unknown command; for the name of a file or folder with the command that scores it.
fn with_hint(mut error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(name)) = error.get(ContextKind::InvalidSubcommand) else { return error };
    let kind = match std::fs::metadata(name) {
        Ok(about) if about.is_dir() => "folder",
        Ok(_) => "file",
        Err(_) => return error,
    };
    let quote = if name.contains(char::is_whitespace) { "'" } else { "" };
    let hint = format!("`{name}` is a {kind}: to score pictures, write `aaclip detect {quote}{name}{quote}`");
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![hint.into()]));
    error
}

/// Prints clap's final output: help and version to stdout, errors to stderr.
fn end(error: &clap::Error) -> ExitCode {
    let text = error.render().ansi().to_string();
    if error.use_stderr() {
        messages::say(&text);
    } else if let Err(e) = messages::print_coloured(&text)
        && !is_closed_pipe(&e)
    {
        messages::error(&e);
        return ExitCode::from(EXIT_ERROR);
    }
    u8::try_from(error.exit_code()).map_or(ExitCode::from(EXIT_ERROR), ExitCode::from)
}
