//! Results that survive an interruption: a file of JSON lines, appended to by one process at a time, and a
//! file with the settings of the run.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::lines::{Line, Lines, without_mark};
use crate::{Error, Result, files};

/// Longest line, in bytes: only a record with a million regions would be longer, and this program writes
/// fewer.
const LONGEST_LINE: u64 = 64 << 20;

/// Longest file of settings, in bytes.
const LONGEST_MANIFEST: u64 = 1 << 20;

/// Why the results of a run cannot be continued or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Another process writes the file.
    #[error("another run writes {}: wait for it to end", path.display())]
    Locked {
        /// The journal.
        path: PathBuf,
    },
    /// A file with an unexpected content.
    #[error("{} cannot be used: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The fault, with its line if there is one.
        reason: String,
    },
    /// The folder has results of other settings.
    #[error("{} has results of other settings ({manifest}):\n  {}", folder.display(), differences.join("\n  "))]
    OtherSettings {
        /// The folder.
        folder: PathBuf,
        /// The name of the file of settings.
        manifest: String,
        /// One line per setting.
        differences: Vec<String>,
    },
}

impl JournalError {
    /// [`JournalError::Damaged`].
    pub fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), reason: reason.into() }
    }
}

/// Reads a line of a journal; the error says in words what is wrong with it.
pub type Parse<T> = fn(&[u8]) -> Result<T, String>;

/// A file of entries, one JSON text per line, used by one process at a time.
pub struct Journal<T> {
    path: PathBuf,
    file: File,
    parse: Parse<T>,
    /// Length of the complete lines.
    end: u64,
}

impl<T: Serialize> Journal<T> {
    /// Opens the journal `path` for this process alone, and creates it if it does not exist.
    /// [`Journal::read`] must come before the first [`Journal::append`].
    ///
    /// # Errors
    /// The file cannot be opened, or another process uses it.
    pub fn lock(path: &Path, parse: Parse<T>) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path).map_err(|e| Error::io("open", path, e))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(JournalError::Locked { path: path.to_owned() }.into()),
            // Some network file systems have no locks.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Self { path: path.to_owned(), file, parse, end: 0 }),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file is empty.
    ///
    /// # Errors
    /// The file's metadata cannot be read.
    pub fn is_empty(&self) -> Result<bool> {
        let about = self.file.metadata().map_err(|e| Error::io("read", &self.path, e))?;
        Ok(about.len() == 0)
    }

    /// Removes all entries.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn clear(&mut self) -> Result<()> {
        self.end = 0;
        self.file.set_len(0).map_err(|e| Error::io("write", &self.path, e))
    }

    /// Calls `each` with every entry and the position of its line. An incomplete last line, left by a killed
    /// process, is removed.
    ///
    /// # Errors
    /// A file that cannot be read, or a line that is not an entry.
    pub fn read(&mut self, mut each: impl FnMut(u64, T)) -> Result<()> {
        self.end = for_each(&self.file, &self.path, self.parse, |start, entry| {
            each(start, entry);
            Ok(())
        })?;
        self.file.set_len(self.end).map_err(|e| Error::io("write", &self.path, e))
    }

    /// Appends an entry with a single write of a whole line. If that fails, the written part is removed.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn append(&mut self, entry: &T) -> Result<()> {
        let io = |e| Error::io("write", &self.path, e);
        let mut line = serde_json::to_vec(entry).map_err(|e| io(e.into()))?;
        line.push(b'\n');
        let written = self.file.seek(SeekFrom::Start(self.end)).and_then(|_| self.file.write_all(&line));
        if let Err(e) = written {
            let _ = self.file.set_len(self.end);
            return Err(io(e));
        }
        self.end += line.len() as u64;
        Ok(())
    }

    /// Writes the lines to disk.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn sync(&self) -> Result<()> {
        files::sync(&self.file).map_err(|e| Error::io("write", &self.path, e))
    }

    /// Writes the lines to disk. Of several entries with the same key only the last one remains, at the
    /// position of the first.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn compact(self, key: impl Fn(&T) -> u64) -> Result<()> {
        let io = |e| Error::io("write", &self.path, e);
        self.sync()?;
        let mut last: HashMap<u64, u64> = HashMap::new();
        for_each(&self.file, &self.path, self.parse, |start, entry| {
            last.insert(key(&entry), start);
            Ok(())
        })?;
        let mut new = files::temporary_beside(files::folder_of(&self.path)).map_err(io)?;
        let mut out = BufWriter::new(&mut new);
        let mut again = File::open(&self.path).map_err(io)?;
        for_each(&self.file, &self.path, self.parse, |_, entry| {
            // Removed at the first line with this key.
            let Some(start) = last.remove(&key(&entry)) else { return Ok(()) };
            out.write_all(&line_at(&mut again, start)?)?;
            out.write_all(b"\n")
        })?;
        out.flush().map_err(io)?;
        drop(out);
        files::sync(new.as_file()).map_err(io)?;
        new.persist(&self.path).map_err(|e| io(e.error))?;
        Ok(())
    }
}

/// Calls `each` with every entry of a journal, in order, even while another process appends to it: an
/// incomplete last line is ignored.
///
/// # Errors
/// A file that cannot be read, or a line that is not an entry.
pub fn read_entries<T>(path: &Path, parse: Parse<T>, mut each: impl FnMut(T)) -> Result<()> {
    let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    for_each(&file, path, parse, |_, entry| {
        each(entry);
        Ok(())
    })?;
    Ok(())
}

/// Calls `each` with the entry and the position of every complete line; returns the end of the last one.
fn for_each<T>(
    file: &File,
    path: &Path,
    parse: Parse<T>,
    mut each: impl FnMut(u64, T) -> io::Result<()>,
) -> Result<u64> {
    let io = |e| Error::io("read", path, e);
    let damaged = |line, reason: &str| JournalError::damaged(path, format!("line {line}: {reason}"));
    let mut reader = BufReader::with_capacity(256 << 10, file);
    reader.seek(SeekFrom::Start(0)).map_err(io)?;
    let (mut lines, mut start) = (Lines::new(reader, LONGEST_LINE), 0);
    for number in 1.. {
        let line = match lines.next().transpose().map_err(io)? {
            Some(Line::Whole(line)) if !lines.is_torn() => line,
            Some(Line::TooLong(_)) => return Err(damaged(number, "it is too long").into()),
            Some(Line::Whole(_)) | None => break,
        };
        // An editor may have added an empty line.
        if !line.trim_ascii().is_empty() {
            each(start, parse(&line).map_err(|reason| damaged(number, &reason))?).map_err(io)?;
        }
        start = lines.whole_bytes();
    }
    Ok(lines.whole_bytes())
}

/// The line that begins at `start`.
pub(crate) fn line_at(file: &mut File, start: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(start))?;
    match Lines::new(BufReader::with_capacity(4 << 10, file), LONGEST_LINE).next().transpose()? {
        Some(Line::Whole(line)) => Ok(line),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// The settings of a run in its folder; `None` if there is no such file.
///
/// # Errors
/// The file cannot be read, or does not have such settings.
pub fn read_manifest<M: DeserializeOwned>(path: &Path) -> Result<Option<M>, JournalError> {
    match files::read_limited(path, LONGEST_MANIFEST) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(JournalError::damaged(path, e.to_string())),
        Ok(bytes) => serde_json::from_slice(without_mark(&bytes))
            .map(Some)
            .map_err(|e| JournalError::damaged(path, e.to_string())),
    }
}

/// Writes the settings of a run.
///
/// # Errors
/// The file cannot be written.
pub fn write_manifest(path: &Path, manifest: &impl Serialize) -> Result<()> {
    let io = |e| Error::io("write", path, e);
    let mut text = serde_json::to_vec_pretty(manifest).map_err(|e| io(e.into()))?;
    text.push(b'\n');
    files::write_atomic(path, &text).map_err(io)
}

/// Checks that there are no differences between the settings of a run and those in its folder.
///
/// # Errors
/// [`JournalError::OtherSettings`].
pub fn same_settings(folder: &Path, manifest: &str, differences: Vec<String>) -> Result<(), JournalError> {
    if differences.is_empty() {
        return Ok(());
    }
    Err(JournalError::OtherSettings { folder: folder.to_owned(), manifest: manifest.to_owned(), differences })
}
