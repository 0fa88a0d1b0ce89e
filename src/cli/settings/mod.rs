//! The settings file: the user's `aaclip.toml`, or the file given by `--config`, with flag names as keys.
//!
//! The whole file is checked against the definition of the command line ([`check`]). The settings for the
//! current command are then inserted into the arguments ([`apply`]), for every flag that neither the command
//! line nor the environment gives: one set of parsers, defaults and rules applies to both.

mod apply;
mod check;
mod read;
mod value;

use std::path::{Path, PathBuf};

use aaclip::{Error, Result};
use clap::Command;

pub use apply::{Applied, apply};
pub use check::{inner, is_setting, subcommands};
pub use read::{Entry, Value};

/// The command line's selection of the settings file.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// `--config`: this file.
    pub only: Option<PathBuf>,
    /// `--no-config`: no file.
    pub none: bool,
}

impl Selection {
    /// The file to read: a named file must exist, the user's file need not.
    fn file(&self) -> Option<PathBuf> {
        if self.none {
            return None;
        }
        self.only.clone().or_else(|| match std::env::var_os("AACLIP_CONFIG") {
            Some(path) => Some(PathBuf::from(path)).filter(|path| !path.as_os_str().is_empty()),
            None => user_path().filter(|path| path.is_file()),
        })
    }
}

/// The user's settings file, unless `AACLIP_CONFIG` names another one.
pub fn user_path() -> Option<PathBuf> {
    Some(aaclip::files::config_dir()?.join("aaclip").join("aaclip.toml"))
}

/// A settings file. Each of its entries is a flag of some command.
#[derive(Debug)]
pub struct SettingsFile {
    /// The file.
    pub path: PathBuf,
    /// Its entries in order.
    pub entries: Vec<Entry>,
}

impl SettingsFile {
    /// Reads and checks the settings file, if there is one; `command` is the whole command line, built.
    ///
    /// # Errors
    /// The file cannot be read, or no command accepts an entry.
    pub fn load(selection: &Selection, command: &Command) -> Result<Option<Self>> {
        let Some(path) = selection.file() else { return Ok(None) };
        let file = Self { entries: read::read(&path)?, path };
        check::check(&file, command)?;
        Ok(Some(file))
    }

    /// The base folder of its relative paths.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// An error about a line of the file.
    fn at(&self, line: usize, problem: impl std::fmt::Display) -> Error {
        at(&self.path, line, problem)
    }
}

fn at(path: &Path, line: usize, problem: impl std::fmt::Display) -> Error {
    Error::Setting(format!("{}:{line}: {problem}", path.display()))
}
