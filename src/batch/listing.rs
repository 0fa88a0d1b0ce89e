//! The pictures of a run and their order.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::path::{Component, Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::filter::FileKind;
use super::shard::name_hash;
use super::{BatchError, Filter, ListingProblem, Shard};
use crate::files::folder_of;
use crate::image::is_picture_name;
use crate::output::is_artefact_name;
use crate::passed::PassedOver;

/// A picture of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The file.
    pub path: PathBuf,
    /// Its path below the searched folder; for a file given by name, only the file name.
    pub relative: PathBuf,
}

impl Input {
    /// A file given by name.
    pub fn named(path: PathBuf) -> Self {
        let relative = path.file_name().map_or_else(|| path.clone(), PathBuf::from);
        Self { path, relative }
    }

    /// The relative path without parts that could lead out of an output folder.
    pub fn inside(&self) -> PathBuf {
        self.relative.components().filter(|c| matches!(c, Component::Normal(_))).collect()
    }

    /// The name that identifies the picture in a run: the parts of its relative path, joined by `/`.
    pub fn name(&self) -> Vec<u8> {
        let parts = self.relative.components().filter_map(|c| match c {
            Component::Normal(part) => Some(part.as_encoded_bytes()),
            _ => None,
        });
        parts.collect::<Vec<_>>().join(&b'/')
    }
}

/// A folder or files given by the user.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Root {
    /// All pictures below a folder.
    Folder(PathBuf),
    /// These files.
    Files(Vec<Input>),
}

/// The pictures of a run. Every iteration searches the folders again, one at a time, so that only the names
/// of one folder are in memory.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Folders and files, in this order.
    pub roots: Vec<Root>,
    /// Selects files in folders.
    pub filter: Filter,
    /// The wanted part of the pictures.
    pub shard: Option<Shard>,
    /// A folder to skip: the run's own output.
    pub skip: Option<PathBuf>,
}

impl Listing {
    /// The pictures, each once, folders in the order of their names, and problems of the search.
    pub fn iter(&self) -> impl Iterator<Item = Result<Input, ListingProblem>> + Send + '_ {
        // Results are stored by name.
        self.walk(if self.skip.is_some() { Self::by_name } else { Self::by_path })
    }

    /// The pictures with distinct `key`.
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
        // One folder has no duplicates.
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

    /// Whether this run or an earlier one wrote the file.
    fn made(&self, input: &Input) -> bool {
        is_artefact_name(&input.path) && self.skip.as_ref().is_some_and(|out| lies_in(&input.path, out))
    }

    fn is_one_folder(&self) -> bool {
        matches!(self.roots[..], [Root::Folder(_)])
    }

    /// Number of pictures.
    pub fn count(&self) -> usize {
        self.iter().filter(Result::is_ok).count()
    }

    /// At most `most` pictures of all parts of the run, those with the lowest hash of their name, and the number of all:
    /// the same for every part, and a fair sample of folders in any order.
    pub fn sample(&self, most: usize) -> (Vec<Input>, usize) {
        let whole = Self { shard: None, ..self.clone() };
        let (mut lowest, mut count) = (BTreeMap::new(), 0);
        for input in whole.iter().filter_map(Result::ok) {
            count += 1;
            lowest.insert((name_hash(&input.name()), input.name()), input);
            if lowest.len() > most {
                lowest.pop_last();
            }
        }
        (lowest.into_values().collect(), count)
    }

    /// What the search of the folders passes over, except what patterns exclude and the run's own output, and the
    /// folders of masks with pictures among it.
    pub fn passed_over(&self) -> (PassedOver, Vec<PathBuf>) {
        let (mut passed, mut masks) = (PassedOver::default(), Vec::new());
        let skip = self.skip.as_ref().and_then(|folder| folder.canonicalize().ok());
        for root in &self.roots {
            let Root::Folder(folder) = root else { continue };
            let mut entries = WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter();
            while let Some(entry) = entries.next() {
                // The search itself reports what cannot be read.
                let Ok(entry) = entry else { continue };
                if entry.depth() == 0 {
                    continue;
                }
                let relative = entry.path().strip_prefix(folder).unwrap_or(entry.path());
                if !entry.file_type().is_dir() {
                    match self.filter.kind(relative) {
                        FileKind::Picture | FileKind::Excluded => {}
                        FileKind::Hidden => passed.hidden_files += 1,
                        FileKind::Result => passed.results += 1,
                        FileKind::OtherEnding => passed.add_other(relative),
                    }
                    continue;
                }
                let is_output = skip.is_some() && entry.path().canonicalize().ok() == skip;
                if self.filter.enters(relative) && !is_output {
                    continue;
                }
                entries.skip_current_dir();
                match () {
                    () if is_output || self.filter.excludes(relative) => {}
                    () if self.filter.hides(relative) => passed.hidden_folders += 1,
                    () => {
                        let count = pictures_below(entry.path());
                        passed.masks += count;
                        masks.extend((count > 0).then(|| entry.into_path()));
                    }
                }
            }
        }
        (passed, masks)
    }

    /// Whether a search of the folders would find the file.
    pub fn takes(&self, input: &Input) -> bool {
        let skipped = || self.skip.as_ref().is_some_and(|folder| lies_in(&input.path, folder));
        let folders = || input.relative.ancestors().skip(1).filter(|f| !f.as_os_str().is_empty());
        self.filter.takes(&input.relative)
            && folders().all(|folder| self.filter.enters(folder))
            && self.shard.is_none_or(|shard| shard.holds(&input.name()))
            && !skipped()
    }

    /// Counts the pictures and checks that no two different pictures have the same name.
    ///
    /// Within one folder that cannot happen; otherwise this needs memory for one hash per picture.
    ///
    /// # Errors
    /// Two pictures have the same name.
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

    /// Skips `out` in the search, so that results are never taken for pictures.
    ///
    /// # Errors
    /// The output folder is itself searched.
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

fn pictures_below(folder: &Path) -> usize {
    let entries = WalkDir::new(folder).follow_links(true).into_iter().filter_map(Result::ok);
    entries.filter(|e| !e.file_type().is_dir() && is_picture_name(e.path())).count()
}

/// The pictures below one folder.
struct Search<'a> {
    folder: &'a Path,
    filter: &'a Filter,
    entries: Box<dyn Iterator<Item = walkdir::Result<DirEntry>> + Send + 'a>,
    /// Whether there was a picture or a reported problem.
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
