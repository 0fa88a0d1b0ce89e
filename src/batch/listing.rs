//! Which pictures a run looks at, in which order.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::path::{Component, Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::{BatchError, Filter, ListingProblem, Shard};
use crate::files::folder_of;
use crate::output::is_artefact_name;

/// A picture to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The file.
    pub path: PathBuf,
    /// Its path below the folder it was found in; the file name alone if it was named outright.
    pub relative: PathBuf,
}

impl Input {
    /// A file that was named outright.
    pub fn named(path: PathBuf) -> Self {
        let relative = path.file_name().map_or_else(|| path.clone(), PathBuf::from);
        Self { path, relative }
    }

    /// The relative path without anything that could lead out of an output folder.
    pub fn inside(&self) -> PathBuf {
        self.relative.components().filter(|c| matches!(c, Component::Normal(_))).collect()
    }

    /// What tells the picture from all others of a run: the parts of its relative path, joined by `/`.
    pub fn name(&self) -> Vec<u8> {
        let parts = self.relative.components().filter_map(|c| match c {
            Component::Normal(part) => Some(part.as_encoded_bytes()),
            _ => None,
        });
        parts.collect::<Vec<_>>().join(&b'/')
    }
}

/// A part of what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Root {
    /// All pictures below a folder.
    Folder(PathBuf),
    /// These files.
    Files(Vec<Input>),
}

/// The pictures of a run. Every iteration searches the folders again, one at a time: only the names of one folder are in
/// memory.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Where to look, in this order.
    pub roots: Vec<Root>,
    /// Which files of folders are taken.
    pub filter: Filter,
    /// The part of them that is wanted.
    pub shard: Option<Shard>,
    /// A folder that is left out: the run's own output.
    pub skip: Option<PathBuf>,
}

impl Listing {
    /// The pictures, each once, folders in the order of their names, and what could not be searched.
    pub fn iter(&self) -> impl Iterator<Item = Result<Input, ListingProblem>> + Send + '_ {
        // Where results are kept, they are kept under names.
        self.walk(if self.skip.is_some() { Self::by_name } else { Self::by_path })
    }

    /// The pictures, those of one `key` once.
    fn walk(
        &self,
        key: fn(&Input, &RandomState) -> u64,
    ) -> impl Iterator<Item = Result<Input, ListingProblem>> + Send + '_ {
        let skip = self.skip.as_ref().and_then(|folder| folder.canonicalize().ok());
        let roots = self.roots.iter().flat_map(move |root| -> Box<dyn Iterator<Item = _> + Send + '_> {
            match root {
                Root::Folder(folder) => Box::new(Search::new(folder, &self.filter, skip.clone())),
                Root::Files(files) => Box::new(files.iter().filter(|file| !self.made(file)).cloned().map(Ok)),
            }
        });
        // In one folder nothing is found twice.
        let mut seen = (!self.is_one_folder()).then(|| (HashSet::new(), RandomState::new()));
        roots.filter(move |found| {
            let Ok(input) = found else { return true };
            let is_new = seen.as_mut().is_none_or(|(seen, hasher)| seen.insert(key(input, hasher)));
            is_new && self.shard.is_none_or(|shard| shard.holds(&input.name()))
        })
    }

    fn by_name(input: &Input, hasher: &RandomState) -> u64 {
        hasher.hash_one(input.name())
    }

    fn by_path(input: &Input, hasher: &RandomState) -> u64 {
        let parts = input.path.components().filter(|part| *part != Component::CurDir);
        hasher.hash_one(parts.collect::<PathBuf>())
    }

    /// Whether this run or one before it made the file.
    fn made(&self, input: &Input) -> bool {
        is_artefact_name(&input.path) && self.skip.as_ref().is_some_and(|out| lies_in(&input.path, out))
    }

    fn is_one_folder(&self) -> bool {
        matches!(self.roots[..], [Root::Folder(_)])
    }

    /// How many pictures there are.
    pub fn count(&self) -> usize {
        self.iter().filter(Result::is_ok).count()
    }

    /// Whether a file of one of the folders belongs to the run, as if it had been found by a search.
    pub fn takes(&self, input: &Input) -> bool {
        let skipped = || self.skip.as_ref().is_some_and(|folder| lies_in(&input.path, folder));
        let folders = || input.relative.ancestors().skip(1).filter(|f| !f.as_os_str().is_empty());
        self.filter.takes(&input.relative)
            && folders().all(|folder| self.filter.enters(folder))
            && self.shard.is_none_or(|shard| shard.holds(&input.name()))
            && !skipped()
    }

    /// Counts the pictures and makes sure that no two different ones have one name.
    ///
    /// Within one folder that cannot happen; otherwise this needs memory for one hash per picture.
    ///
    /// # Errors
    /// Two pictures of one name.
    pub fn check(&self) -> Result<usize, BatchError> {
        if self.is_one_folder() {
            return Ok(self.count());
        }
        let hasher = RandomState::new();
        let mut names: HashMap<u64, u64> = HashMap::new();
        for input in self.walk(Self::by_path).filter_map(Result::ok) {
            let (name, path) = (Self::by_name(&input, &hasher), Self::by_path(&input, &hasher));
            if names.insert(name, path).is_some_and(|other| other != path) {
                let namesake = |i: &Input| {
                    i.path != input.path && i.name() == input.name() && !is_same_file(&i.path, &input.path)
                };
                // None if only the hashes are equal, or if two paths lead to one file.
                if let Some(first) = self.walk(Self::by_path).filter_map(Result::ok).find(namesake) {
                    return Err(BatchError::Collision(first.path, input.path));
                }
            }
        }
        Ok(self.count())
    }

    /// Makes sure that results in `out` are never taken for pictures: leaves it out of the search.
    ///
    /// # Errors
    /// An output folder that is itself searched.
    pub fn keep_out(&mut self, out: &Path) -> Result<(), BatchError> {
        let same = |folder: &Path| match (folder.canonicalize(), out.canonicalize()) {
            (Ok(a), Ok(b)) => a == b,
            _ => false,
        };
        if self.roots.iter().any(|root| matches!(root, Root::Folder(folder) if same(folder))) {
            return Err(BatchError::OutputIsInput(out.to_owned()));
        }
        self.skip = Some(out.to_owned());
        Ok(())
    }
}

/// Whether a file is in a folder or below it.
fn lies_in(file: &Path, folder: &Path) -> bool {
    let resolved = folder_of(file).canonicalize().ok().zip(folder.canonicalize().ok());
    resolved.is_some_and(|(parent, folder)| parent.starts_with(folder))
}

/// Whether two paths lead to the same file.
pub(super) fn is_same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// The pictures below one folder.
struct Search<'a> {
    folder: &'a Path,
    filter: &'a Filter,
    entries: Box<dyn Iterator<Item = walkdir::Result<DirEntry>> + Send + 'a>,
    /// Whether there was a picture, or a complaint is due.
    any: bool,
}

impl<'a> Search<'a> {
    fn new(folder: &'a Path, filter: &'a Filter, skip: Option<PathBuf>) -> Self {
        let wanted = move |entry: &DirEntry| {
            if !entry.file_type().is_dir() || entry.depth() == 0 {
                return true;
            }
            let relative = entry.path().strip_prefix(folder).unwrap_or(entry.path());
            let is_output = || entry.path().canonicalize().ok() == skip;
            filter.enters(relative) && (skip.is_none() || !is_output())
        };
        let walk = WalkDir::new(folder).follow_links(true).sort_by_file_name();
        Self { folder, filter, entries: Box::new(walk.into_iter().filter_entry(wanted)), any: false }
    }
}

impl Iterator for Search<'_> {
    type Item = Result<Input, ListingProblem>;

    fn next(&mut self) -> Option<Self::Item> {
        for entry in &mut self.entries {
            match entry {
                Ok(entry) => {
                    let relative = entry.path().strip_prefix(self.folder).unwrap_or(entry.path());
                    if !entry.file_type().is_dir() && self.filter.takes(relative) {
                        self.any = true;
                        let relative = relative.to_owned();
                        return Some(Ok(Input { path: entry.into_path(), relative }));
                    }
                }
                Err(e) => {
                    self.any = true;
                    let reason = e.to_string();
                    return Some(Err(ListingProblem::Search(self.folder.to_owned(), reason)));
                }
            }
        }
        if std::mem::replace(&mut self.any, true) {
            return None;
        }
        let looked_for = self.filter.describe();
        Some(Err(ListingProblem::NoPictures(self.folder.to_owned(), looked_for)))
    }
}
