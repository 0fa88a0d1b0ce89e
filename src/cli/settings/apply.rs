//! What the files say about the command that runs.

use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use super::check::is_setting;
use super::value::arguments;
use super::{Entry, Settings, SettingsError, SettingsFile};

/// A setting of a file that takes effect.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The flag, without its dashes.
    pub flag: String,
    /// Its value as the file has it.
    pub value: String,
    /// What is put among the arguments; nothing for a switch that is off.
    pub arguments: Vec<OsString>,
    /// File and line.
    pub origin: String,
}

/// An entry for one flag of the command that runs.
struct Candidate<'a> {
    file: &'a SettingsFile,
    entry: &'a Entry,
    flag: &'a Arg,
}

/// The settings for the command at `path` of the command line `root`, which is built; `given` is what the command line
/// and the environment say to that command.
///
/// For each flag the strongest file decides, and in a file the table that is nearest to the command. A setting gives
/// way to whatever it contradicts on the command line, in the environment or in a stronger place.
///
/// # Errors
/// An entry for every command that this one does not take, or two of the same place that contradict each other.
pub fn apply(
    settings: &Settings,
    root: &Command,
    path: &[&str],
    given: &ArgMatches,
) -> Result<Vec<Applied>, SettingsError> {
    let Some(command) = path.iter().try_fold(root, |c, name| c.find_subcommand(name)) else {
        return Ok(vec![]);
    };
    let is_given = |flag: &Arg| {
        matches!(
            given.value_source(flag.get_id().as_str()),
            Some(ValueSource::CommandLine | ValueSource::EnvVariable)
        )
    };
    let mut chosen: Vec<Candidate<'_>> = Vec::new();
    for candidate in candidates(settings, command, path) {
        let same = |c: &Candidate<'_>| c.flag.get_id() == candidate.flag.get_id();
        if chosen.iter().any(same) || is_given(candidate.flag) {
            continue;
        }
        chosen.push(candidate);
    }
    let mut applied: Vec<(&Candidate<'_>, Applied)> = Vec::new();
    for candidate in &chosen {
        let Candidate { file, entry, flag } = candidate;
        let arguments = arguments(flag, &entry.value, file).map_err(|problem| {
            let elsewhere = match entry.table.as_slice() {
                [] => " (a setting for one command goes into a table: [detect], [eval], ...)",
                _ => "",
            };
            file.at(entry.line, format!("`{}` for `{}`: {problem}{elsewhere}", entry.key, path.join(" ")))
        })?;
        let refused = |other: &&Arg| contradict(command, flag, other);
        if !arguments.is_empty() {
            if command.get_arguments().filter(|a| is_given(a)).any(|a| refused(&a)) {
                continue;
            }
            if let Some((other, _)) =
                applied.iter().find(|(c, a)| !a.arguments.is_empty() && refused(&c.flag))
            {
                if std::ptr::eq(other.file, *file) && other.entry.table == entry.table {
                    let problem = format!("`{}` contradicts `{}`", entry.key, other.entry.key);
                    return Err(file.at(entry.line, problem));
                }
                continue;
            }
        }
        let applying = Applied {
            flag: entry.key.clone(),
            value: entry.value.to_string(),
            arguments,
            origin: format!("{}:{}", file.path.display(), entry.line),
        };
        applied.push((candidate, applying));
    }
    Ok(applied.into_iter().map(|(_, a)| a).collect())
}

/// All entries about flags of the command, the strongest first.
fn candidates<'a>(
    settings: &'a Settings,
    command: &'a Command,
    path: &'a [&str],
) -> impl Iterator<Item = Candidate<'a>> {
    settings.files.iter().flat_map(move |file| {
        let mut of_file: Vec<Candidate<'a>> = (file.entries.iter())
            .filter(|e| e.table.len() <= path.len() && e.table.iter().zip(path).all(|(t, p)| t == p))
            .filter_map(|entry| {
                let mut flags = command.get_arguments().filter(|a| is_setting(a));
                let flag = flags.find(|a| a.get_long() == Some(&entry.key))?;
                Some(Candidate { file, entry, flag })
            })
            .collect();
        // Stable: within a table the file's order stays.
        of_file.sort_by_key(|c| std::cmp::Reverse(c.entry.table.len()));
        of_file
    })
}

/// Whether clap refuses the two flags together.
pub fn contradict(command: &Command, a: &Arg, b: &Arg) -> bool {
    let lists = |one: &Arg, other: &Arg| {
        command.get_arg_conflicts_with(one).iter().any(|refused| refused.get_id() == other.get_id())
    };
    a.get_id() != b.get_id() && (lists(a, b) || lists(b, a))
}
