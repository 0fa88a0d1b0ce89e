//! A file, mapped into memory.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::WeightsError;

/// A read-only mapping of a whole file.
///
/// Its bytes are only copied and interpreted as numbers or text, so a file changed by another process gives
/// other numbers, not undefined values of a Rust type. If another process truncates the file during reading,
/// the system ends this process with a bus error; this cannot be prevented.
pub(super) struct Mapping {
    path: PathBuf,
    bytes: Bytes,
}

enum Bytes {
    /// An empty file cannot be mapped.
    None,
    Mapped(Mmap),
    /// Part of the program.
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

    /// A file built into the program; errors name it `path`.
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

    /// Returns the pages of a read range to the system, so that a checkpoint is not in memory twice while it
    /// is read.
    pub fn forget(&self, range: Range<usize>) {
        #[cfg(unix)]
        if let Bytes::Mapped(bytes) = &self.bytes
            && range.start < range.end
            && range.end <= bytes.len()
        {
            // SAFETY: the mapping is read-only and of a file, so dropped pages are read from the file again.
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
