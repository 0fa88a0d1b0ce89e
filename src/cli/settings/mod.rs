//! Settings files: `aaclip.toml` of a user and of a project, with the names of the flags.
//!
//! A file is checked as a whole against the command line's own definition ([`check`]), whatever command runs. What it
//! says about the command that does run is then put among the arguments ([`apply`]), for every flag that neither the
//! command line nor the environment gives: one set of parsers, defaults and rules holds for both.

mod apply;
mod check;
mod find;
mod read;
mod value;

use std::path::{Path, PathBuf};

use clap::Command;

use crate::cli::messages;

pub use apply::{Applied, apply};
pub use check::{is_setting, subcommands};
pub use find::{Found, Selection, user_path};
pub use read::{Entry, Value};

/// Name of a settings file.
pub const FILE_NAME: &str = "aaclip.toml";

/// Where a settings file comes from: what decides how far it is trusted and which of two is the stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Named by `--config`.
    Named,
    /// The nearest one from the current folder upwards. Anybody may have written it.
    Project,
    /// In the user's folder for settings, or named by `AACLIP_CONFIG`.
    User,
}

impl Level {
    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Named => "named",
            Self::Project => "project",
            Self::User => "user",
        }
    }
}

/// A settings file that was read and whose every entry is one that some command takes.
#[derive(Debug)]
pub struct SettingsFile {
    /// The file.
    pub path: PathBuf,
    /// Where it comes from.
    pub level: Level,
    /// What it says, in its order.
    pub entries: Vec<Entry>,
}

impl SettingsFile {
    /// The folder that its relative paths start from.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// An error about a line of it.
    fn at(&self, line: usize, problem: impl Into<String>) -> SettingsError {
        SettingsError::At { path: self.path.clone(), line, problem: problem.into() }
    }
}

/// Why settings files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}; --no-config goes on without settings files", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Too large for what it is.
    #[error(
        "{} is larger than {} kB: expected a settings file, see `aaclip config --help`",
        path.display(),
        read::LARGEST / 1000
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Not text.
    #[error("{}:{line}: not UTF-8: expected a text file in TOML", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The first line with such bytes, counted from 1.
        line: usize,
    },
    /// Not TOML, or an entry that no command takes.
    #[error("{}:{line}: {problem}", path.display())]
    At {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong there, and what is expected.
        problem: String,
    },
}

impl From<SettingsError> for aaclip::Error {
    fn from(error: SettingsError) -> Self {
        Self::Setting(error.to_string())
    }
}

/// The settings files that hold, the strongest first.
#[derive(Debug, Default)]
pub struct Settings {
    /// Those that exist.
    pub files: Vec<SettingsFile>,
    /// Files that exist and are not used, with the reason.
    pub ignored: Vec<String>,
}

impl Settings {
    /// Finds, reads and checks the files; `command` is the whole command line, built.
    ///
    /// # Errors
    /// The first file that cannot be read, or whose every entry is not one that a command takes.
    pub fn load(selection: &Selection, command: &Command) -> Result<Self, SettingsError> {
        let Found { files, ignored } = find::find(selection)?;
        let files = files.into_iter().map(|(level, path)| {
            let file = SettingsFile { entries: read::read(&path)?, path, level };
            check::check(&file, command)?;
            Ok(file)
        });
        Ok(Self { files: files.collect::<Result<_, SettingsError>>()?, ignored })
    }
}

/// Says which files are not used, and with `--verbose` which were read and what came from them.
pub fn report(settings: &Settings, applied: &[Applied]) {
    settings.ignored.iter().for_each(messages::warn);
    for file in &settings.files {
        messages::note(|| format!("settings read from {} ({})", file.path.display(), file.level.name()));
    }
    for setting in applied {
        messages::note(|| format!("{} = {} ({})", setting.flag, setting.value, setting.origin));
    }
}
