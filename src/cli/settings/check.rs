//! Checks that every entry of a file is a flag of some command.

use aaclip::Result;
use clap::{Arg, Command};

use super::apply::contradict;
use super::value::arguments;
use super::{Entry, SettingsFile, Value};

/// Flags that select the settings file, or end the program.
const NOT_SETTINGS: [&str; 4] = ["config", "no-config", "help", "version"];

/// Whether a flag can be set in a file.
pub fn is_setting(arg: &Arg) -> bool {
    arg.get_long().is_some_and(|long| !NOT_SETTINGS.contains(&long))
}

/// Checks all entries of a file.
///
/// # Errors
/// No command accepts an entry; the first such entry is named.
pub fn check(file: &SettingsFile, root: &Command) -> Result<()> {
    for entry in &file.entries {
        check_entry(entry, file, root).map_err(|problem| file.at(entry.line, problem))?;
    }
    check_globals(file, root)
}

/// Refuses flags of all commands that contradict each other in one table.
fn check_globals(file: &SettingsFile, root: &Command) -> Result<()> {
    let global = |entry: &Entry| {
        let mut flags = root.get_arguments().filter(|arg| arg.is_global_set() && is_setting(arg));
        let flag = flags.find(|arg| arg.get_long() == Some(&entry.key))?;
        // A switch that is off contradicts nothing.
        arguments(flag, &entry.value, file).is_ok_and(|all| !all.is_empty()).then_some(flag)
    };
    let on: Vec<(&Entry, &Arg)> = file.entries.iter().filter_map(|e| Some((e, global(e)?))).collect();
    for (i, (entry, flag)) in on.iter().enumerate() {
        let before = on.iter().take(i).filter(|(other, _)| other.table == entry.table);
        if let Some((other, _)) = before.into_iter().find(|(_, other)| contradict(root, flag, other)) {
            return Err(file.at(entry.line, format!("`{}` contradicts `{}`", entry.key, other.key)));
        }
    }
    Ok(())
}

fn check_entry(entry: &Entry, file: &SettingsFile, root: &Command) -> Result<(), String> {
    let mut command = root;
    for name in &entry.table {
        command = table(command, name)?;
    }
    if entry.value == Value::Table {
        return table(command, &entry.key).map(drop);
    }
    if NOT_SETTINGS.contains(&entry.key.as_str()) {
        return Err(format!("`{}` cannot be set in a file", entry.key));
    }
    let flags = flags(command, &entry.key);
    if flags.is_empty() && command.find_subcommand(&entry.key).is_some() {
        return Err(format!("`{0}` is a command: its settings go into a table, [{0}]", entry.name()));
    }
    if flags.is_empty() {
        return Err(unknown_flag(entry, command, root));
    }
    // A setting for all commands need not suit each of them: the command that runs reports it.
    let mut problem = None;
    for flag in flags {
        match arguments(flag, &entry.value, file) {
            Ok(_) => return Ok(()),
            Err(e) => drop(problem.get_or_insert(e)),
        }
    }
    problem.map_or(Ok(()), |problem| Err(format!("`{}`: {problem}", entry.key)))
}

/// The command a table is for.
fn table<'a>(command: &'a Command, name: &str) -> Result<&'a Command, String> {
    inner(command, name).map_err(|problem| {
        if flags(command, name).is_empty() {
            return problem;
        }
        format!("`{name}` is a flag: expected a value, found a table")
    })
}

/// The command of this name within another one.
pub fn inner<'a>(command: &'a Command, name: &str) -> Result<&'a Command, String> {
    if let Some(found) = subcommands(command).find(|c| c.get_name() == name) {
        return Ok(found);
    }
    let names: Vec<&str> = subcommands(command).map(Command::get_name).collect();
    Err(match (nearest(name, names.iter().copied()), names.is_empty()) {
        (Some(near), _) => format!("no command `{name}`: did you mean `{near}`?"),
        (None, false) => format!("no command `{name}`: expected one of {}", names.join(", ")),
        (None, true) => format!("no command `{name}`: `{}` has no subcommands", command.get_name()),
    })
}

/// All subcommands, without clap's own `help`.
pub fn subcommands(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|c| c.get_name() != "help")
}

/// The flags with this name of a command and all its subcommands.
fn flags<'a>(command: &'a Command, key: &str) -> Vec<&'a Arg> {
    let own = command.get_arguments().filter(|arg| is_setting(arg) && arg.get_long() == Some(key));
    own.chain(subcommands(command).flat_map(|c| flags(c, key))).collect()
}

fn unknown_flag(entry: &Entry, command: &Command, root: &Command) -> String {
    let key = &entry.key;
    let elsewhere: Vec<&str> =
        subcommands(root).filter(|c| !flags(c, key).is_empty()).map(Command::get_name).collect();
    if !elsewhere.is_empty() {
        return format!("`{}` has no flag --{key}; {} has", entry.table.join(" "), elsewhere.join(", "));
    }
    let mut all = Vec::new();
    collect(command, &mut all);
    match nearest(key, all.into_iter()) {
        Some(near) => format!("unknown setting `{key}`: did you mean `{near}`?"),
        None => format!(
            "unknown setting `{key}`: expected the long name of a flag without its dashes (see `aaclip {} --help`)",
            entry.table.first().map_or("detect", String::as_str)
        ),
    }
}

fn collect<'a>(command: &'a Command, all: &mut Vec<&'a str>) {
    all.extend(command.get_arguments().filter(|a| is_setting(a)).filter_map(Arg::get_long));
    subcommands(command).for_each(|c| collect(c, all));
}

/// The most likely intended name for `word`, if it was misspelt.
fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.len().div_ceil(3)).clamp(1, 3);
    // No flag is longer, but a file's key can be.
    let names = names.filter(|_| word.len() <= 64);
    let near = names.map(|name| (strsim::levenshtein(word, name), name)).filter(|(d, _)| *d <= allowed);
    near.min_by_key(|(d, _)| *d).map(|(_, name)| name)
}
