//! Copies of chosen pictures in a folder of their own.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use super::listing::is_same_file;
use super::{BatchError, Input, Listing, Root};
use crate::{Error, Result, files};

/// A folder for pictures, under their names within the run.
#[derive(Debug)]
pub struct Copies {
    folder: PathBuf,
}

impl Copies {
    /// A folder that the run does not search.
    ///
    /// # Errors
    /// It is a searched folder or in one, and not excluded.
    pub fn new(folder: PathBuf, listing: &Listing) -> Result<Self, BatchError> {
        let whole = resolved(&folder);
        let is_skipped = listing.skip.as_ref().is_some_and(|skip| whole.starts_with(resolved(skip)));
        for root in &listing.roots {
            let Root::Folder(searched) = root else { continue };
            let base = resolved(searched);
            let Ok(below) = whole.strip_prefix(&base) else { continue };
            let mut folders = below.ancestors().filter(|f| !f.as_os_str().is_empty());
            let is_excluded = folders.any(|f| !listing.filter.enters(f));
            if !is_skipped && !is_excluded {
                return Err(BatchError::CopiesInInput { folder, searched: searched.clone() });
            }
        }
        Ok(Self { folder })
    }

    /// Adds a picture: a hard link where the file system has them, else a copy. The same picture may be there.
    ///
    /// # Errors
    /// Another file is there, or the picture cannot be copied.
    pub fn add(&self, input: &Input) -> Result<()> {
        let io = |e| Error::io("copy", &input.path, e);
        let copy = self.folder.join(input.inside());
        if copy.symlink_metadata().is_ok() {
            if is_same_file(&copy, &input.path) || has_same_content(&copy, &input.path).map_err(io)? {
                return Ok(());
            }
            return Err(BatchError::OtherCopy { copy, picture: input.path.clone() }.into());
        }
        // A hard link to a symbolic link would be another symbolic link.
        let source = input.path.canonicalize().map_err(io)?;
        if !source.is_file() {
            return Err(io(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")));
        }
        let folder = files::folder_of(&copy);
        std::fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
        if std::fs::hard_link(&source, &copy).is_ok() {
            return Ok(());
        }
        let written = || -> io::Result<()> {
            let mut new = files::temporary_beside(folder)?;
            io::copy(&mut File::open(&source)?, &mut new)?;
            new.persist_noclobber(&copy).map(drop).map_err(|e| e.error)
        };
        written().map_err(|e| Error::io("write", &copy, e))
    }
}

/// The path without links, of as much of it as exists.
fn resolved(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = whole.ancestors().find_map(|folder| Some((folder, folder.canonicalize().ok()?)));
    let Some((folder, real)) = there else { return whole };
    match whole.strip_prefix(folder) {
        Ok(rest) if !rest.as_os_str().is_empty() => real.join(rest),
        _ => real,
    }
}

fn has_same_content(a: &Path, b: &Path) -> io::Result<bool> {
    let (about_a, about_b) = (std::fs::metadata(a)?, std::fs::metadata(b)?);
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if (about_a.dev(), about_a.ino()) == (about_b.dev(), about_b.ino()) {
            return Ok(true);
        }
    }
    if !(about_a.is_file() && about_b.is_file()) || about_a.len() != about_b.len() {
        return Ok(false);
    }
    let bytes = |path| File::open(path).map(|file| BufReader::with_capacity(64 << 10, file).bytes());
    for (a, b) in bytes(a)?.zip(bytes(b)?) {
        if a? != b? {
            return Ok(false);
        }
    }
    Ok(true)
}
