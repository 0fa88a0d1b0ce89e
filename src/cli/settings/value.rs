//! What a file's value is as an argument of a flag.

use std::any::TypeId;
use std::error::Error as _;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command};

use super::{Level, SettingsFile, Value};

/// Flags that a project's file may not set: they remove what is there or let others in, and anybody may have written
/// such a file. Those that say where to write are a case of their own, see [`WRITES`].
const NOT_FOR_PROJECTS: [&str; 5] = ["fresh", "restart", "discard-maps", "host", "allow-host"];

/// Flags that say where to write. What a project's file says there must lie [`inside`] its folder.
const WRITES: [&str; 2] = ["out", "output"];

/// The arguments (`--key`, `--key=value`) that `value` stands for. None for `false` and for an empty list.
///
/// # Errors
/// A value of the wrong type, one the flag refuses, or one that a project may not set: what was found and what is
/// expected.
pub fn arguments(arg: &Arg, value: &Value, file: &SettingsFile) -> Result<Vec<OsString>, String> {
    let key = arg.get_long().unwrap_or_default();
    if file.level == Level::Project && NOT_FOR_PROJECTS.contains(&key) {
        return Err(
            "a project's file may not set this: say it on the command line, in your own file, or name this \
                    file with --config"
                .to_owned(),
        );
    }
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
        if WRITES.contains(&key) && file.level == Level::Project && !inside(Path::new(&text), file.folder()) {
            return Err(format!(
                "`{text}` leads out of {}: a project's file may only name places below its own folder",
                file.folder().display()
            ));
        }
        try_value(arg, &raw)?;
        let mut argument = OsString::from(format!("--{key}="));
        argument.push(raw);
        found.push(argument);
    }
    Ok(found)
}

/// Whether values of the flag are of this type.
fn is<T: 'static>(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == TypeId::of::<T>()
}

/// Whether the flag may be given more than once.
fn is_list(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}

/// What the flag takes, as its help calls it.
fn placeholder(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let name = names.iter().map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
    match name.is_empty() {
        true => "a value".to_owned(),
        false => format!("a value ({name})"),
    }
}

/// A path in a file starts from that file's folder.
///
/// Where a flag takes a name or a path, what begins with a dot is a path, and so is what has a dot or a slash in it
/// and lies there: `my.toml`, but not `ViT-L/14@336`.
fn located(arg: &Arg, text: &str, file: &SettingsFile) -> OsString {
    let names = arg.get_value_names().unwrap_or_default();
    let may_be_path =
        names.iter().any(|n| ["FILE", "DIR", "PATH", "ROOT"].iter().any(|kind| n.contains(kind)));
    let there = file.folder().join(text);
    let looks_like_path = || {
        text.starts_with("./") || text.starts_with("../") || text.contains(['/', '\\', '.']) && there.exists()
    };
    // What takes a number or a file takes for a file whatever is no number.
    let number_or_file = names.iter().any(|n| n == "X|FILE");
    let is_path = is::<PathBuf>(arg)
        || number_or_file && text.parse::<f64>().is_err()
        || may_be_path && !number_or_file && looks_like_path();
    // `-` is stdin or stdout; nothing is for the flag to refuse.
    if is_path && !matches!(text, "" | "-") { there.into() } else { text.into() }
}

/// Whether a path of a file in `folder` is one below that folder, with no hidden folder on the way and not by way of
/// a link that leads elsewhere.
fn inside(path: &Path, folder: &Path) -> bool {
    let plain = path.components().all(|part| match part {
        Component::CurDir => true,
        Component::Normal(name) => !name.as_encoded_bytes().starts_with(b"."),
        _ => false,
    });
    let Ok(folder) = folder.canonicalize() else { return false };
    let whole = folder.join(path);
    // `symlink_metadata`: a link to nothing yet is something, too.
    let existing = whole.ancestors().find(|p| p.symlink_metadata().is_ok());
    plain && existing.and_then(|p| p.canonicalize().ok()).is_some_and(|p| p.starts_with(&folder))
}

/// Has the flag's own parser look at a value.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_project_writes_below_its_own_folder() {
        let dir = tempfile::tempdir().unwrap();
        let project = dir.path().join("project");
        std::fs::create_dir_all(project.join("results")).unwrap();
        std::os::unix::fs::symlink(dir.path(), project.join("away")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("not-yet"), project.join("broken")).unwrap();
        std::os::unix::fs::symlink(project.join("results"), project.join("within")).unwrap();
        for (path, expected) in [
            ("out", true),
            ("./results/a/b", true),
            ("within/a", true),
            ("", true),
            ("..", false),
            ("results/../../x", false),
            ("/tmp", false),
            ("away", false),
            ("away/x", false),
            ("broken", false),
            ("broken/x", false),
            (".git/hooks", false),
            ("results/.hidden", false),
        ] {
            assert_eq!(inside(Path::new(path), &project), expected, "{path}");
        }
    }
}
