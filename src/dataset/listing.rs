//! The content of folders in a stable order.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::image::is_picture_name;
use crate::passed::is_hidden;

use super::DatasetError;

/// Largest metadata file or table: a million lines fit.
pub(super) const MAX_METADATA_BYTES: u64 = 256 << 20;

/// Whether `root` is a file; an error if it does not exist.
pub(super) fn is_file(root: &Path) -> Result<bool, DatasetError> {
    match fs::metadata(root) {
        Ok(about) => Ok(!about.is_dir()),
        Err(e) if e.kind() == ErrorKind::NotFound => Err(DatasetError::NotFound(root.to_owned())),
        Err(source) => Err(DatasetError::Io(root.to_owned(), source)),
    }
}

/// The content of a folder, without hidden names. Only one level, so that circular links cannot make it
/// endless.
#[derive(Debug, Clone, Default)]
pub(super) struct Listing {
    /// Folders and links to folders, sorted.
    pub folders: Vec<PathBuf>,
    /// Files with the ending of a picture, sorted; also broken links, so that they are reported.
    pub pictures: Vec<PathBuf>,
    /// All other files, sorted.
    pub others: Vec<PathBuf>,
    /// Hidden files and folders.
    pub hidden: [usize; 2],
}

impl Listing {
    pub fn of(folder: &Path) -> Result<Self, DatasetError> {
        let io = |source| DatasetError::Io(folder.to_owned(), source);
        let mut listing = Self::default();
        for entry in fs::read_dir(folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            let path = entry.path();
            let kind = entry.file_type().map_err(io)?;
            let is_folder = kind.is_dir() || (kind.is_symlink() && path.is_dir());
            if is_hidden(&entry.file_name()) {
                listing.hidden[usize::from(is_folder)] += 1;
            } else if is_folder {
                listing.folders.push(path);
            } else if is_picture_name(&path) {
                listing.pictures.push(path);
            } else {
                listing.others.push(path);
            }
        }
        for list in [&mut listing.folders, &mut listing.pictures, &mut listing.others] {
            list.sort();
        }
        Ok(listing)
    }

    /// The first of `names` that is a folder, in any case; the exact case is preferred.
    pub fn folder(&self, names: &[&str]) -> Option<&Path> {
        let same = |wanted: &str| self.folders.iter().find(|f| file_name(f) == wanted);
        let similar = |wanted: &str| self.folders.iter().find(|f| file_name(f).eq_ignore_ascii_case(wanted));
        names.iter().find_map(|name| same(name).or_else(|| similar(name))).map(PathBuf::as_path)
    }
}

/// A folder below `folder` by a path of names, each in any case.
pub(super) fn below(folder: &Path, names: &[&str]) -> Option<PathBuf> {
    names.iter().try_fold(folder.to_owned(), |at, name| {
        let exact = at.join(name);
        if exact.is_dir() { Some(exact) } else { Some(Listing::of(&at).ok()?.folder(&[name])?.to_owned()) }
    })
}

/// The last part of a path, as text.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The last part of a path without its ending, as text.
pub(super) fn stem(path: &Path) -> String {
    path.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The name of a folder, also if given as `.` or `..`.
pub(super) fn folder_name(folder: &Path) -> String {
    let name = file_name(folder);
    if !name.is_empty() {
        return name;
    }
    let whole = fs::canonicalize(folder).map(|p| file_name(&p)).unwrap_or_default();
    if whole.is_empty() { "object".to_owned() } else { whole }
}

/// The parts of a path in a metadata file; `None` if it is empty, absolute or leads out of the file's folder.
/// `\` separates too, because some files were written on Windows.
pub(super) fn inside(text: &str) -> Option<Vec<String>> {
    let text = text.replace('\\', "/");
    let drive = text.as_bytes().get(1) == Some(&b':');
    if text.starts_with('/') || drive || text.contains('\0') {
        return None;
    }
    let mut parts = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name.to_owned()),
        }
    }
    (!parts.is_empty()).then_some(parts)
}

/// Opens a metadata file below the size limit; the reader stops at the limit even if the file grows.
pub(super) fn open_metadata(path: &Path) -> Result<impl Read + use<>, DatasetError> {
    let io = |source| DatasetError::Io(path.to_owned(), source);
    let file = fs::File::open(path).map_err(io)?;
    let bytes = file.metadata().map_err(io)?.len();
    if bytes > MAX_METADATA_BYTES {
        return Err(DatasetError::TooLarge { path: path.to_owned(), bytes, allowed: MAX_METADATA_BYTES });
    }
    Ok(file.take(MAX_METADATA_BYTES))
}
