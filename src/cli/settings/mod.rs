//! The settings file: the user's `aaclip.toml`, or the file that `--config` names, with the names of the flags.
//!
//! The file is checked as a whole against the command line's own definition ([`check`]), for any command. Its
//! settings for that command are then put among the arguments ([`apply`]), for every flag that neither the command line
//! nor the environment gives: one set of parsers, defaults and rules applies to both.

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

/// What the command line says about the settings file.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// `--config`: this file.
    pub only: Option<PathBuf>,
    /// `--no-config`: no file.
    pub none: bool,
}

impl Selection {
    /// The file to read: one that was named must exist, the user's need not.
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

/// The user's settings file, where `AACLIP_CONFIG` names no other one.
pub fn user_path() -> Option<PathBuf> {
    Some(dirs::config_dir()?.join("aaclip").join("aaclip.toml"))
}

/// A settings file. Each of its entries is a flag of some command.
#[derive(Debug)]
pub struct SettingsFile {
    /// The file.
    pub path: PathBuf,
    /// Its entries, in its order.
    pub entries: Vec<Entry>,
}

impl SettingsFile {
    /// Reads and checks the settings file, if there is one; `command` is the whole command line, built.
    ///
    /// # Errors
    /// A file that cannot be read, or an entry that no command takes.
    pub fn load(selection: &Selection, command: &Command) -> Result<Option<Self>> {
        let Some(path) = selection.file() else { return Ok(None) };
        let file = Self { entries: read::read(&path)?, path };
        check::check(&file, command)?;
        Ok(Some(file))
    }

    /// The folder that its relative paths start from.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// An error about a line of it.
    fn at(&self, line: usize, problem: impl std::fmt::Display) -> Error {
        at(&self.path, line, problem)
    }
}

fn at(path: &Path, line: usize, problem: impl std::fmt::Display) -> Error {
    Error::Setting(format!("{}:{line}: {problem}", path.display()))
}
