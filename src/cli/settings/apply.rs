//! The settings of a file for the current command.

use std::cmp::Reverse;
use std::ffi::OsString;

use aaclip::Result;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use super::check::is_setting;
use super::value::arguments;
use super::{Entry, SettingsFile};

/// A setting of a file that takes effect.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The flag, without its dashes.
    pub flag: String,
    /// Its value in the file.
    pub value: String,
    /// The resulting arguments; empty for a switch that is off.
    pub arguments: Vec<OsString>,
    /// File and line.
    pub origin: String,
}

/// The settings for the command at `path` of the command line `root`, which is built; `given` are the values
/// from the command line and the environment.
///
/// For each flag the nearest table of the command decides. A setting is ignored if it contradicts the command
/// line, the environment or a nearer table.
///
/// # Errors
/// A value that this command does not take, or two entries of one table that contradict each other.
pub fn apply(file: &SettingsFile, root: &Command, path: &[&str], given: &ArgMatches) -> Result<Vec<Applied>> {
    let Some(command) = path.iter().try_fold(root, |c, name| c.find_subcommand(name)) else {
        return Ok(vec![]);
    };
    let is_given = |flag: &Arg| {
        matches!(
            given.value_source(flag.get_id().as_str()),
            Some(ValueSource::CommandLine | ValueSource::EnvVariable)
        )
    };
    let mut applied: Vec<(&Entry, &Arg, Applied)> = Vec::new();
    for (entry, flag) in entries(file, command, path) {
        let same = |(_, other, _): &(&Entry, &Arg, Applied)| other.get_id() == flag.get_id();
        if is_given(flag) || applied.iter().any(same) {
            continue;
        }
        let arguments = arguments(flag, &entry.value, file).map_err(|problem| {
            let elsewhere = match entry.table.as_slice() {
                [] => " (a setting for one command goes into a table: [detect], [eval], ...)",
                _ => "",
            };
            file.at(entry.line, format!("`{}` for `{}`: {problem}{elsewhere}", entry.key, path.join(" ")))
        })?;
        let refused = |other: &Arg| !arguments.is_empty() && contradict(command, flag, other);
        if command.get_arguments().any(|other| is_given(other) && refused(other)) {
            continue;
        }
        match applied.iter().find(|(_, other, a)| !a.arguments.is_empty() && refused(other)) {
            Some((other, ..)) if other.table == entry.table => {
                return Err(file.at(entry.line, format!("`{}` contradicts `{}`", entry.key, other.key)));
            }
            Some(_) => continue,
            None => {}
        }
        let setting = Applied {
            flag: entry.key.clone(),
            value: entry.value.to_string(),
            arguments,
            origin: format!("{}:{}", file.path.display(), entry.line),
        };
        applied.push((entry, flag, setting));
    }
    Ok(applied.into_iter().map(|(.., setting)| setting).collect())
}

/// All entries for flags of the command, the nearest table first.
fn entries<'a>(
    file: &'a SettingsFile,
    command: &'a Command,
    path: &'a [&str],
) -> impl Iterator<Item = (&'a Entry, &'a Arg)> {
    let mut found: Vec<_> = (file.entries.iter())
        .filter(|e| e.table.len() <= path.len() && e.table.iter().zip(path).all(|(t, p)| t == p))
        .filter_map(|entry| {
            let mut flags = command.get_arguments().filter(|a| is_setting(a));
            Some((entry, flags.find(|a| a.get_long() == Some(&entry.key))?))
        })
        .collect();
    // Stable: the order within a table is kept.
    found.sort_by_key(|(entry, _)| Reverse(entry.table.len()));
    found.into_iter()
}

/// Whether clap refuses the two flags together.
pub fn contradict(command: &Command, a: &Arg, b: &Arg) -> bool {
    let lists = |one: &Arg, other: &Arg| {
        command.get_arg_conflicts_with(one).iter().any(|refused| refused.get_id() == other.get_id())
    };
    a.get_id() != b.get_id() && (lists(a, b) || lists(b, a))
}
