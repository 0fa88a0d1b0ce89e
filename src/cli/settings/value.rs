//! Converts a file's values to arguments of flags.

use std::any::TypeId;
use std::error::Error as _;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command};

use super::{SettingsFile, Value};

/// The arguments (`--key`, `--key=value`) for `value`; empty for `false` and for an empty list.
///
/// # Errors
/// The value has the wrong type, or the flag refuses it: the found value and the expected one.
pub fn arguments(arg: &Arg, value: &Value, file: &SettingsFile) -> Result<Vec<OsString>, String> {
    let key = arg.get_long().unwrap_or_default();
    let takes_values = arg.get_action().takes_values();
    let texts = match value {
        Value::Bool(on) if !takes_values => {
            return Ok(on.then(|| format!("--{key}").into()).into_iter().collect());
        }
        value if !takes_values => return Err(format!("expected true or false, found {value}")),
        Value::Bool(b) if is::<bool>(arg) => vec![b.to_string()],
        Value::Number(text) | Value::Text(text) => vec![text.clone()],
        Value::List(all) if is_list(arg) => {
            let delimiter = arg.get_value_delimiter();
            let one = |value: &Value| match value {
                Value::Number(text) | Value::Text(text) if delimiter.is_some_and(|d| text.contains(d)) => {
                    Err(format!("expected a list of single values, found {value} in it"))
                }
                Value::Number(text) | Value::Text(text) => Ok(text.clone()),
                other => Err(format!("expected a list of {}, found {other} in it", placeholder(arg))),
            };
            all.iter().map(one).collect::<Result<_, _>>()?
        }
        value => return Err(format!("expected {}, found {value}", placeholder(arg))),
    };
    let mut found = Vec::new();
    for text in texts {
        let raw = located(arg, &text, file);
        try_value(arg, &raw)?;
        let mut argument = OsString::from(format!("--{key}="));
        argument.push(raw);
        found.push(argument);
    }
    Ok(found)
}

/// Whether values of the flag have this type.
fn is<T: 'static>(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == TypeId::of::<T>()
}

/// Whether the flag may be given more than once.
fn is_list(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}

/// The flag's placeholder in its help.
fn placeholder(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let name = names.iter().map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
    if name.is_empty() { "a value".to_owned() } else { format!("a value ({name})") }
}

/// A path in a file is relative to the file's folder.
///
/// If a flag takes a name or a path, a text that begins with a dot is a path, and so is a text with a dot or
/// a slash that exists there: `my.toml`, but not `ViT-L/14@336`.
fn located(arg: &Arg, text: &str, file: &SettingsFile) -> OsString {
    let names = arg.get_value_names().unwrap_or_default();
    let may_be_path =
        names.iter().any(|n| ["FILE", "DIR", "PATH", "ROOT"].iter().any(|kind| n.contains(kind)));
    let there = file.folder().join(text);
    let looks_like_path = || {
        text.starts_with("./") || text.starts_with("../") || text.contains(['/', '\\', '.']) && there.exists()
    };
    // A flag for a number or a file takes a text that is not a number as a file.
    let number_or_file = names.iter().any(|n| n == "X|FILE");
    let is_path = is::<PathBuf>(arg)
        || number_or_file && text.parse::<f64>().is_err()
        || may_be_path && !number_or_file && looks_like_path();
    // `-` is stdin or stdout; the flag itself refuses an empty text.
    if is_path && !matches!(text, "" | "-") { there.into() } else { text.into() }
}

/// Checks a value with the flag's own parser.
fn try_value(arg: &Arg, raw: &OsString) -> Result<(), String> {
    let mut probe = Arg::new(arg.get_id().clone())
        .long("value")
        .action(arg.get_action().clone())
        .value_parser(arg.get_value_parser().clone());
    if let Some(delimiter) = arg.get_value_delimiter() {
        probe = probe.value_delimiter(delimiter);
    }
    let mut argument = OsString::from("--value=");
    argument.push(raw);
    let parsed = Command::new("settings").no_binary_name(true).arg(probe).try_get_matches_from([argument]);
    let Err(error) = parsed else { return Ok(()) };
    let refused = match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => raw.to_string_lossy().into_owned(),
    };
    let expected = match (error.kind(), error.get(ContextKind::ValidValue), error.source()) {
        (ErrorKind::InvalidValue, Some(ContextValue::Strings(all)), _) if !all.is_empty() => {
            format!("expected one of {}", all.join(", "))
        }
        (_, _, Some(source)) => source.to_string(),
        _ => format!("expected {}", placeholder(arg)),
    };
    Err(format!("`{refused}`: {expected}"))
}
