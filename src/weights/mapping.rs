//! A file, mapped into memory.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::WeightsError;

/// A read-only mapping of a whole file.
///
/// Its bytes are only ever copied out and interpreted as numbers or text, so a file that another process changes
/// meanwhile gives other numbers, not undefined values of a Rust type. A file that another process cuts short
/// while it is read ends this process with the system's bus error; nothing can be promised about that.
pub(super) struct Mapping {
    path: PathBuf,
    bytes: Bytes,
}

enum Bytes {
    /// An empty file cannot be mapped.
    None,
    Mapped(Mmap),
    /// Part of the program itself.
    Embedded(&'static [u8]),
}

impl Mapping {
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let io = |source| WeightsError::Io { file: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        let about = file.metadata().map_err(io)?;
        if about.is_dir() {
            return Err(io(std::io::ErrorKind::IsADirectory.into()));
        }
        if about.len() == 0 {
            return Ok(Self { path: path.to_owned(), bytes: Bytes::None });
        }
        // SAFETY: see the type's documentation.
        let bytes = unsafe { Mmap::map(&file) }.map_err(io)?;
        Ok(Self { path: path.to_owned(), bytes: Bytes::Mapped(bytes) })
    }

    /// A file that is part of the program; `path` is what errors call it.
    pub fn embedded(path: PathBuf, bytes: &'static [u8]) -> Self {
        Self { path, bytes: Bytes::Embedded(bytes) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::None => &[],
            Bytes::Mapped(bytes) => bytes,
            Bytes::Embedded(bytes) => bytes,
        }
    }

    pub fn get(&self, range: Range<usize>) -> Option<&[u8]> {
        self.bytes().get(range)
    }

    /// Gives the pages of a range that has been read back to the system, so that reading a checkpoint does not
    /// hold it in memory twice.
    pub fn forget(&self, range: Range<usize>) {
        #[cfg(unix)]
        if let Bytes::Mapped(bytes) = &self.bytes
            && range.start < range.end
            && range.end <= bytes.len()
        {
            // SAFETY: the mapping is of a file and never written to, so dropped pages are read from it again.
            let _ = unsafe {
                bytes.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, range.len())
            };
        }
        #[cfg(not(unix))]
        let _ = range;
    }

    pub fn damaged(&self, what: impl Into<String>) -> WeightsError {
        WeightsError::Damaged { file: self.path.clone(), what: what.into() }
    }

    pub fn unsupported(&self, what: impl Into<String>) -> WeightsError {
        WeightsError::Unsupported { file: self.path.clone(), what: what.into() }
    }
}
