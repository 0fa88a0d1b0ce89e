//! The results of a run, with its finished pictures.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::Shard;
use super::listing::is_same_file;
use crate::files::Stamp;
use crate::journal::{Journal, line_at};
use crate::output::Record;
use crate::{Error, Result};

/// The state of a picture's file, which identifies finished pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileState<'a> {
    /// Its length and modification time.
    Stamp(Stamp),
    /// Its length and SHA-256.
    Hash(u64, &'a str),
}

/// The file with the results.
pub struct RunResults {
    journal: Journal<Record>,
    /// Whether a name has several lines, so that all but the last are removed at the end.
    repeats: bool,
    hasher: RandomState,
}

/// The results in a file when it was opened: about 70 bytes of memory per line.
pub struct Finished {
    /// The base folder of its relative paths.
    started_in: PathBuf,
    file: Mutex<File>,
    lines: HashMap<u64, Place>,
    hasher: RandomState,
}

struct Place {
    start: u64,
    /// Hash of the picture's path.
    path: u64,
    /// Hash of the file's state; `None`: the picture failed and is tried again.
    state: Option<u64>,
}

impl RunResults {
    /// The name of the file: `results.jsonl`, or `results-I-of-N.jsonl`.
    pub fn file_name(shard: Option<Shard>) -> String {
        Shard::file_name(shard, "results", "jsonl")
    }

    /// The part of a run whose results are in a file of this name (`Some(None)`: of a whole run); `None` for
    /// any other file.
    pub fn part_of(file_name: &str) -> Option<Option<Shard>> {
        Shard::of_file(file_name, "results", "jsonl")
    }

    /// Locks the file of a run for this process.
    ///
    /// # Errors
    /// Errors of [`Journal::lock`].
    pub fn lock(path: &Path) -> Result<Journal<Record>> {
        Journal::lock(path, Record::parse)
    }

    /// Reads the file. Finished pictures are identified by content if `by_hash`, else by time; relative paths
    /// start from `started_in`.
    ///
    /// # Errors
    /// Errors of [`Journal::read`].
    pub fn read(mut journal: Journal<Record>, by_hash: bool, started_in: &Path) -> Result<(Self, Finished)> {
        let file = File::open(journal.path()).map_err(|e| Error::io("open", journal.path(), e))?;
        let (mut lines, hasher, mut repeats) = (HashMap::new(), RandomState::new(), false);
        journal.read(|start, record| {
            let place = Place {
                start,
                path: hasher.hash_one(started_in.join(&record.input.path)),
                state: state(&record, by_hash).map(|state| hasher.hash_one(state)),
            };
            repeats |= lines.insert(hasher.hash_one(&record.input.name), place).is_some();
        })?;
        let results = Self { journal, repeats, hasher: hasher.clone() };
        let file = Mutex::new(file);
        Ok((results, Finished { started_in: started_in.to_owned(), file, lines, hasher }))
    }

    /// Allows several results of one name; the last one counts.
    pub fn expect_repeats(&mut self) {
        self.repeats = true;
    }

    /// Appends a result.
    ///
    /// # Errors
    /// Errors of [`Journal::append`].
    pub fn append(&mut self, record: &Record, before: &Finished) -> Result<()> {
        self.journal.append(record)?;
        self.repeats |= before.lines.contains_key(&self.hasher.hash_one(&record.input.name));
        Ok(())
    }

    /// Writes the results to disk, only the last one of each name.
    ///
    /// # Errors
    /// Errors of [`Journal::compact`].
    pub fn finish(self) -> Result<()> {
        if !self.repeats {
            return self.journal.sync();
        }
        self.journal.compact(|record| self.hasher.hash_one(&record.input.name))
    }
}

/// The state of a record's file.
fn state(record: &Record, by_hash: bool) -> Option<FileState<'_>> {
    record.scored()?;
    let stamp = record.input.stamp?;
    if by_hash {
        return Some(FileState::Hash(stamp.bytes, record.input.sha256.as_ref()?));
    }
    Some(FileState::Stamp(stamp))
}

impl Finished {
    /// Number of names.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there were no results.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether there may be a result for a picture of this name; a fast test before reading the file's state.
    pub fn has(&self, name: &[u8]) -> bool {
        self.lines.get(&self.hasher.hash_one(name)).is_some_and(|place| place.state.is_some())
    }

    /// The result for a picture with this file state, if there is one.
    pub fn get(&self, name: &[u8], state: FileState<'_>) -> Option<Record> {
        let place = self.lines.get(&self.hasher.hash_one(name))?;
        if place.state != Some(self.hasher.hash_one(state)) {
            return None;
        }
        self.record(place).filter(|record| record.input.name == name)
    }

    /// The picture with the result of this name, if it is not the picture at `path` and still exists.
    pub fn namesake(&self, name: &[u8], path: &Path) -> Option<PathBuf> {
        let here = std::path::absolute(path).ok()?;
        let place = self.lines.get(&self.hasher.hash_one(name))?;
        if place.path == self.hasher.hash_one(&here) {
            return None;
        }
        let record = self.record(place)?;
        let there = self.started_in.join(&record.input.path);
        let other = record.input.name == name && there.exists() && !is_same_file(&there, &here);
        other.then_some(there)
    }

    fn record(&self, place: &Place) -> Option<Record> {
        let mut file = self.file.lock().unwrap_or_else(|e| e.into_inner());
        Record::parse(&line_at(&mut file, place.start).ok()?).ok()
    }
}
