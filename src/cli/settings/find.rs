//! Which settings files hold.

use std::path::{Path, PathBuf};

use super::{FILE_NAME, Level, SettingsError};

/// What the command line says about settings files.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// `--config`: this one alone.
    pub only: Option<PathBuf>,
    /// `--no-config`: none.
    pub none: bool,
}

/// The files to read, the strongest first.
#[derive(Debug, Default)]
pub struct Found {
    /// Those that exist, with where they come from.
    pub files: Vec<(Level, PathBuf)>,
    /// Why others are not used.
    pub ignored: Vec<String>,
}

/// Finds the files.
///
/// # Errors
/// A file that was named and does not exist.
pub fn find(selection: &Selection) -> Result<Found, SettingsError> {
    let mut found = Found::default();
    if selection.none {
        return Ok(found);
    }
    if let Some(path) = &selection.only {
        found.files.push((Level::Named, named(path)?));
        return Ok(found);
    }
    let user = user_file()?;
    let same = |a: &Path, b: &Path| matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b);
    if let Some(path) = project_file().filter(|p| !user.as_ref().is_some_and(|u| same(u, p))) {
        match belongs_to_another(&path) {
            false => found.files.push((Level::Project, path)),
            true => found.ignored.push(format!(
                "{} belongs to another user and is not used: --config {} uses it, --no-config is silent",
                path.display(),
                path.display()
            )),
        }
    }
    found.files.extend(user.map(|path| (Level::User, path)));
    Ok(found)
}

/// Where the user's settings file is looked for; `None` where there is to be none.
pub fn user_path() -> Option<PathBuf> {
    match std::env::var_os("AACLIP_CONFIG") {
        Some(path) if path.is_empty() => None,
        Some(path) => Some(path.into()),
        None => Some(aaclip::files::config_dir()?.join("aaclip").join(FILE_NAME)),
    }
}

fn user_file() -> Result<Option<PathBuf>, SettingsError> {
    let Some(path) = user_path() else { return Ok(None) };
    match std::env::var_os("AACLIP_CONFIG") {
        Some(_) => named(&path).map(Some),
        None => Ok(Some(path).filter(|p| p.is_file())),
    }
}

fn named(path: &Path) -> Result<PathBuf, SettingsError> {
    match path.metadata() {
        Ok(about) if about.is_dir() => Err(std::io::Error::from(std::io::ErrorKind::IsADirectory)),
        Ok(_) => Ok(path.to_owned()),
        Err(e) => Err(e),
    }
    .map_err(|source| SettingsError::Io { path: path.to_owned(), source })
}

/// The nearest settings file from the current folder upwards, as far as the user's home folder or the root.
///
/// Only a regular file is one: a pipe of that name would stop every run below it.
fn project_file() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    let home = aaclip::files::home_dir().and_then(|home| home.canonicalize().ok());
    let last = here.ancestors().position(|folder| Some(folder) == home.as_deref());
    let folders = here.ancestors().take(last.map_or(usize::MAX, |i| i + 1));
    folders.map(|folder| folder.join(FILE_NAME)).find(|path| path.is_file())
}

/// Whether a file is neither this user's nor the administrator's. A link must be theirs as well as what it leads to.
#[cfg(unix)]
fn belongs_to_another(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    // SAFETY: the call has no requirement and cannot fail.
    let me = unsafe { libc::geteuid() };
    let owners = [path.metadata(), path.symlink_metadata()];
    owners.into_iter().any(|about| about.is_ok_and(|about| about.uid() != me && about.uid() != 0))
}

#[cfg(not(unix))]
fn belongs_to_another(_path: &Path) -> bool {
    false
}
