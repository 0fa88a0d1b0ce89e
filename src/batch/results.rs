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

    /// Which part of a run a file of this name has the results of (`Some(None)`: of all of it); `None` if it is no file
    /// of results.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::test_record;

    const STATE: Stamp = Stamp { bytes: 5, modified: Some(7) };

    fn record(name: &str, ok: bool) -> Record {
        let mut record = test_record(name, ok);
        record.input.stamp = Some(STATE);
        record
    }

    fn open(path: &Path, by_hash: bool) -> (RunResults, Finished) {
        RunResults::read(RunResults::lock(path).unwrap(), by_hash, path.parent().unwrap()).unwrap()
    }

    fn names(path: &Path) -> Vec<(String, bool)> {
        let text = std::fs::read_to_string(path).unwrap();
        let lines = text.lines().map(|l| serde_json::from_str::<Record>(l).unwrap());
        lines.map(|r| (r.input.path.clone(), r.scored().is_some())).collect()
    }

    #[test]
    fn finished_pictures_are_known_again_and_failed_ones_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.jsonl");
        let (mut results, before) = open(&path, false);
        assert!(before.is_empty());
        for (name, ok) in [("a", true), ("b", false), ("c", true)] {
            results.append(&record(name, ok), &before).unwrap();
        }
        results.finish().unwrap();

        let (mut results, before) = open(&path, false);
        assert_eq!(before.get(b"a", FileState::Stamp(STATE)), Some(record("a", true)));
        let later = Stamp { modified: Some(8), ..STATE };
        assert_eq!(before.get(b"a", FileState::Stamp(later)), None);
        assert_eq!(before.get(b"b", FileState::Stamp(STATE)), None);
        assert!(!before.has(b"b") && !before.has(b"x") && before.has(b"c"));
        // The second line of a name takes the place of the first.
        results.append(&record("d", true), &before).unwrap();
        results.append(&record("b", true), &before).unwrap();
        results.finish().unwrap();
        let expected = [("a", true), ("b", true), ("c", true), ("d", true)];
        assert_eq!(names(&path), expected.map(|(n, ok)| (n.to_owned(), ok)));
    }

    #[test]
    fn a_result_is_that_of_one_picture() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["one/a", "two/a", "results.jsonl"] {
            std::fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
            std::fs::write(dir.path().join(name), b"").unwrap();
        }
        let path = dir.path().join("results.jsonl");
        let (mut results, before) = open(&path, false);
        let mut of_one = record("a", true);
        of_one.input.path = "one/a".into();
        results.append(&of_one, &before).unwrap();
        drop((results, before));
        let (_, before) = open(&path, false);
        let namesake = |path: &str| before.namesake(b"a", &dir.path().join(path));
        assert_eq!(namesake("two/a"), Some(dir.path().join("one/a")));
        assert_eq!((namesake("one/a"), namesake("one/../one/a")), (None, None));
        assert_eq!(before.namesake(b"b", &dir.path().join("two/b")), None);
        // A picture that was removed or moved does not count.
        std::fs::remove_file(dir.path().join("one/a")).unwrap();
        assert_eq!(namesake("two/a"), None);
    }

    #[test]
    fn by_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.jsonl");
        let (mut results, before) = open(&path, true);
        let mut hashed = record("a", true);
        hashed.input.sha256 = Some("ab".into());
        results.append(&hashed, &before).unwrap();
        results.append(&record("b", true), &before).unwrap();
        drop(results);
        let (_, before) = open(&path, true);
        assert!(before.get(b"a", FileState::Hash(5, "ab")).is_some());
        assert!(before.get(b"a", FileState::Hash(5, "cd")).is_none());
        assert!(!before.has(b"b") && before.len() == 2);
    }
}
