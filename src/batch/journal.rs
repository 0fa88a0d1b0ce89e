//! The results of a run, one line per picture, appended as pictures are finished.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::lines::{for_each_line, line_at};
use super::listing::is_same_file;
use super::{BatchError, Shard};
use crate::files::{Stamp, temporary_beside};
use crate::output::{Outcome, Record};
use crate::{Error, Result};

/// The state of a picture's file, by which a finished one is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileState<'a> {
    /// Its length and time of change.
    Stamp(Stamp),
    /// Its length and SHA-256.
    Hash(u64, &'a str),
}

/// The file that results are appended to. One process at a time has it.
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Length of the whole lines.
    end: u64,
    /// Whether a name has more than one line, so that the earlier ones should go at the end.
    superseded: bool,
    /// Hashes of the names that were there at the beginning.
    known: RandomState,
}

/// A journal that no other process can write to, not read yet.
pub struct LockedJournal {
    path: PathBuf,
    file: File,
}

/// What a journal held when it was opened: some 70 bytes of memory a line.
pub struct Finished {
    path: PathBuf,
    /// The folder that paths in it start from.
    started_in: PathBuf,
    file: Mutex<File>,
    lines: HashMap<u64, Line>,
    hasher: RandomState,
    by_hash: bool,
}

struct Line {
    offset: u64,
    /// Hash of the picture's path.
    path: u64,
    /// Hash of the file's state; `None`: the picture failed, and is tried again.
    state: Option<u64>,
}

impl Journal {
    /// The name of the file: `results.jsonl`, or `results-I-of-N.jsonl`.
    pub fn file_name(shard: Option<Shard>) -> String {
        Shard::file_name(shard, "results", "jsonl")
    }

    /// Which part of a run a file of this name holds the results of (`Some(None)`: of all of it); `None` if it is no
    /// journal.
    pub fn part_of(file_name: &str) -> Option<Option<Shard>> {
        Shard::of_file(file_name, "results", "jsonl")
    }

    /// Opens the journal `path`, which is created if it is not there, for this process alone.
    ///
    /// # Errors
    /// A file that cannot be opened, or is another process's.
    pub fn lock(path: &Path) -> Result<LockedJournal> {
        let io = |e| Error::io("open", path, e);
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(BatchError::Locked { path: path.to_owned() }.into()),
            // Some network file systems know no locks.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(LockedJournal { path: path.to_owned(), file }),
        }
    }

    /// From now on one name may have several results: the last one counts in the end.
    pub fn expect_repeats(&mut self) {
        self.superseded = true;
    }

    /// Appends a result: one write of a whole line. If that fails what was written of it is taken back.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn append(&mut self, record: &Record, before: &Finished) -> Result<()> {
        let io = |e| Error::io("write", &self.path, e);
        let mut line = serde_json::to_vec(record).map_err(|e| io(e.into()))?;
        line.push(b'\n');
        let written = self.file.seek(SeekFrom::Start(self.end)).and_then(|_| self.file.write_all(&line));
        if let Err(e) = written {
            let _ = self.file.set_len(self.end);
            return Err(io(e));
        }
        self.end += line.len() as u64;
        self.superseded |= before.lines.contains_key(&self.known.hash_one(&record.input.name));
        Ok(())
    }

    /// Brings the lines to the disk, and leaves only the last one of each name, in the place of its first.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn finish(self) -> Result<()> {
        let io = |e| Error::io("write", &self.path, e);
        self.file.sync_all().map_err(io)?;
        if !self.superseded {
            return Ok(());
        }
        let mut last: HashMap<u64, u64> = HashMap::new();
        for_each_line(&self.file, &self.path, |offset, record| {
            last.insert(self.known.hash_one(&record.input.name), offset);
            Ok(())
        })?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let mut new = temporary_beside(folder).map_err(io)?;
        let mut out = BufWriter::new(&mut new);
        let mut again = File::open(&self.path).map_err(io)?;
        for_each_line(&self.file, &self.path, |_, record| {
            // Taken out at the first line of the name.
            let Some(offset) = last.remove(&self.known.hash_one(&record.input.name)) else { return Ok(()) };
            out.write_all(&line_at(&mut again, offset)?)
        })?;
        out.flush().map_err(io)?;
        drop(out);
        new.as_file().sync_all().map_err(io)?;
        new.persist(&self.path).map_err(|e| io(e.error))?;
        Ok(())
    }
}

impl LockedJournal {
    /// Whether it holds anything.
    ///
    /// # Errors
    /// A file the system says nothing of.
    pub fn has_results(&self) -> Result<bool> {
        let about = self.file.metadata().map_err(|e| Error::io("read", &self.path, e))?;
        Ok(about.len() > 0)
    }

    /// Forgets what it holds.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn clear(&self) -> Result<()> {
        self.file.set_len(0).map_err(|e| Error::io("write", &self.path, e))
    }

    /// Reads it. What follows the last whole line, left by a process that was killed, is cut off. `by_hash` tells
    /// whether pictures are known again by content rather than by time, `started_in` where relative paths start.
    ///
    /// # Errors
    /// A file that cannot be read, or holds a line that is no record.
    pub fn read(self, by_hash: bool, started_in: &Path) -> Result<(Journal, Finished)> {
        let Self { path, file } = self;
        let io = |e| Error::io("open", &path, e);
        let mut finished = Finished {
            path: path.clone(),
            started_in: started_in.to_owned(),
            file: Mutex::new(File::open(&path).map_err(io)?),
            lines: HashMap::new(),
            hasher: RandomState::new(),
            by_hash,
        };
        let mut superseded = false;
        let end = for_each_line(&file, &path, |offset, record| {
            superseded |= finished.note(offset, &record);
            Ok(())
        })?;
        file.set_len(end).map_err(io)?;
        let known = finished.hasher.clone();
        Ok((Journal { path, file, end, superseded, known }, finished))
    }
}

impl Finished {
    /// Notes a line; tells whether its name had one already.
    fn note(&mut self, offset: u64, record: &Record) -> bool {
        let state = match (&record.outcome, record.input.stamp, &record.input.sha256) {
            (Outcome::Failed(_), ..) | (_, None, _) => None,
            (_, Some(stamp), Some(hash)) if self.by_hash => Some(FileState::Hash(stamp.bytes, hash)),
            _ if self.by_hash => None,
            (_, Some(stamp), _) => Some(FileState::Stamp(stamp)),
        };
        let line = Line {
            offset,
            path: self.hasher.hash_one(self.started_in.join(&record.input.path)),
            state: state.map(|state| self.hasher.hash_one(state)),
        };
        self.lines.insert(self.hasher.hash_one(&record.input.name), line).is_some()
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether the journal was empty.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether there may be a result for a picture of this name, so that asking for its state is worth it.
    pub fn has(&self, name: &[u8]) -> bool {
        self.lines.get(&self.hasher.hash_one(name)).is_some_and(|line| line.state.is_some())
    }

    /// The result for a picture whose file is in this state, if there is one.
    pub fn get(&self, name: &[u8], state: FileState<'_>) -> Option<Record> {
        let line = self.lines.get(&self.hasher.hash_one(name))?;
        if line.state != Some(self.hasher.hash_one(state)) {
            return None;
        }
        self.record(line).filter(|record| record.input.name == name)
    }

    /// The picture that has the result of this name, if it is not the one at `path` and still exists.
    pub fn namesake(&self, name: &[u8], path: &Path) -> Option<PathBuf> {
        let here = std::path::absolute(path).ok()?;
        let line = self.lines.get(&self.hasher.hash_one(name))?;
        if line.path == self.hasher.hash_one(&here) {
            return None;
        }
        let record = self.record(line)?;
        let there = self.started_in.join(&record.input.path);
        let other = record.input.name == name && there.exists() && !is_same_file(&there, &here);
        other.then_some(there)
    }

    fn record(&self, line: &Line) -> Option<Record> {
        let bytes = line_at(&mut self.file.lock().unwrap_or_else(|e| e.into_inner()), line.offset).ok()?;
        Record::parse(&bytes).ok()
    }

    /// The journal.
    pub fn path(&self) -> &Path {
        &self.path
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

    fn open(path: &Path, by_hash: bool) -> Result<(Journal, Finished)> {
        Journal::lock(path)?.read(by_hash, path.parent().unwrap())
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
        let (mut journal, before) = open(&path, false).unwrap();
        assert!(before.is_empty());
        journal.append(&record("a", true), &before).unwrap();
        journal.append(&record("b", false), &before).unwrap();
        journal.append(&record("c", true), &before).unwrap();
        assert!(matches!(open(&path, false), Err(Error::Batch(BatchError::Locked { .. }))));
        journal.finish().unwrap();

        let (mut journal, before) = open(&path, false).unwrap();
        assert_eq!(before.get(b"a", FileState::Stamp(STATE)), Some(record("a", true)));
        let later = Stamp { modified: Some(8), ..STATE };
        assert_eq!(before.get(b"a", FileState::Stamp(later)), None);
        assert_eq!(before.get(b"b", FileState::Stamp(STATE)), None);
        assert!(!before.has(b"b") && !before.has(b"x") && before.has(b"c"));
        // The second line of a name takes the place of the first.
        journal.append(&record("d", true), &before).unwrap();
        journal.append(&record("b", true), &before).unwrap();
        journal.finish().unwrap();
        let expected = [("a", true), ("b", true), ("c", true), ("d", true)];
        assert_eq!(names(&path), expected.map(|(n, ok)| (n.to_owned(), ok)));
    }

    #[test]
    fn a_torn_line_is_cut_off_and_a_damaged_one_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.jsonl");
        let whole = serde_json::to_string(&record("a", true)).unwrap() + "\n";
        for cut in [1, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&path, format!("{whole}{}", &whole[..cut])).unwrap();
            let (mut journal, before) = open(&path, false).unwrap();
            journal.append(&record("b", true), &before).unwrap();
            drop(journal);
            assert_eq!(names(&path), [("a".to_owned(), true), ("b".to_owned(), true)]);
        }
        std::fs::write(&path, format!("{whole}nonsense\n{whole}")).unwrap();
        let Err(error) = open(&path, false) else { panic!("opened") };
        assert!(error.to_string().contains("line 2"), "{error}");
    }

    #[test]
    fn a_result_is_that_of_one_picture() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["one/a", "two/a", "results.jsonl"] {
            std::fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
            std::fs::write(dir.path().join(name), b"").unwrap();
        }
        let path = dir.path().join("results.jsonl");
        let (mut journal, before) = open(&path, false).unwrap();
        let mut of_one = record("a", true);
        of_one.input.path = "one/a".into();
        journal.append(&of_one, &before).unwrap();
        drop((journal, before));
        let (_, before) = open(&path, false).unwrap();
        let namesake = |path: &str| before.namesake(b"a", &dir.path().join(path));
        assert_eq!(namesake("two/a"), Some(dir.path().join("one/a")));
        assert_eq!((namesake("one/a"), namesake("one/../one/a")), (None, None));
        assert_eq!(before.namesake(b"b", &dir.path().join("two/b")), None);
        // A picture that is gone, or was moved, does not mind.
        std::fs::remove_file(dir.path().join("one/a")).unwrap();
        assert_eq!(namesake("two/a"), None);
    }

    #[test]
    fn by_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.jsonl");
        let (mut journal, before) = open(&path, true).unwrap();
        let mut hashed = record("a", true);
        hashed.input.sha256 = Some("ab".into());
        journal.append(&hashed, &before).unwrap();
        journal.append(&record("b", true), &before).unwrap();
        drop(journal);
        let (_, before) = open(&path, true).unwrap();
        assert!(before.get(b"a", FileState::Hash(5, "ab")).is_some());
        assert!(before.get(b"a", FileState::Hash(5, "cd")).is_none());
        assert!(!before.has(b"b") && before.len() == 2 && before.path() == path);
    }
}
