//! The pictures of a run and their order.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::path::{Component, Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::{BatchError, Filter, ListingProblem, Shard};
use crate::output::is_artefact_name;

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
pub enum Root {
    /// All pictures below a folder.
    Folder(PathBuf),
    /// These files.
    Files(Vec<Input>),
}

/// The pictures of a run. They are found anew whenever they are iterated over, one folder at a time, so memory holds
/// the names of one folder, however many there are.
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
    /// Within one folder that cannot be; for anything else a hash per picture is held in memory.
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
                // Nobody, if only the hashes were the same, or two paths lead to one file.
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

/// Whether a file lies in a folder or below it.
fn lies_in(file: &Path, folder: &Path) -> bool {
    let parent = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let resolved = parent.canonicalize().ok().zip(folder.canonicalize().ok());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"").unwrap();
        }
        dir
    }

    fn found(listing: &Listing) -> (Vec<String>, Vec<String>) {
        let (mut names, mut problems) = (Vec::new(), Vec::new());
        for found in listing.iter() {
            match found {
                Ok(input) => names.push(String::from_utf8(input.name()).unwrap()),
                Err(problem) => problems.push(problem.to_string()),
            }
        }
        (names, problems)
    }

    #[test]
    fn folders_are_searched_in_a_stable_order() {
        let dir = tree(&["b.png", "a.JPG", "notes.txt", "sub/c.webp", "out/a.png.heatmap.png"]);
        let mut listing = Listing {
            roots: vec![Root::Folder(dir.path().to_owned())],
            skip: Some(dir.path().join("sub/../out")),
            ..Listing::default()
        };
        assert_eq!(found(&listing), (["a.JPG", "b.png", "sub/c.webp"].map(String::from).into(), vec![]));
        // Twice the same.
        assert_eq!(found(&listing), found(&listing));
        let whole = found(&listing).0;
        let mut parts: Vec<String> = Vec::new();
        for index in 0..3 {
            listing.shard = Shard::new(index, 3);
            parts.extend(found(&listing).0);
        }
        parts.sort();
        assert_eq!(parts, whole);
    }

    #[test]
    fn nothing_found_is_a_problem() {
        let dir = tree(&["notes.txt"]);
        let gone = dir.path().join("gone");
        let filter = Filter::new(&["x*".to_owned()], &[]).unwrap();
        let roots = vec![Root::Folder(dir.path().to_owned()), Root::Folder(gone)];
        let (names, problems) = found(&Listing { roots, filter, ..Listing::default() });
        assert!(names.is_empty() && problems.len() == 2, "{problems:?}");
        assert!(problems[0].contains("--include x*") && problems[1].contains("gone"), "{problems:?}");
    }

    #[cfg(unix)]
    #[test]
    fn links_in_a_circle_are_a_problem_not_a_hang() {
        let dir = tree(&["sub/a.png"]);
        std::os::unix::fs::symlink(dir.path(), dir.path().join("sub/loop")).unwrap();
        std::os::unix::fs::symlink("nowhere.png", dir.path().join("dangling.png")).unwrap();
        let roots = vec![Root::Folder(dir.path().to_owned())];
        let (names, problems) = found(&Listing { roots, ..Listing::default() });
        assert_eq!(names, ["sub/a.png"]);
        assert_eq!(problems.len(), 2, "{problems:?}");
    }

    #[test]
    fn two_of_one_name_are_told_before_anything_else() {
        let files = |paths: &[&str]| Listing {
            roots: vec![Root::Files(paths.iter().map(|p| Input::named(p.into())).collect())],
            ..Listing::default()
        };
        // The same picture again is no second one.
        assert_eq!(files(&["d/a.png", "d/a.jpg", "d/a.png", "./d/a.png"]).check().unwrap(), 2);
        let error = files(&["d/a.png", "b.png", "e/a.png"]).check().unwrap_err().to_string();
        assert!(error.contains("d/a.png") && error.contains("e/a.png"), "{error}");
    }

    #[test]
    fn an_output_folder_is_left_out_but_may_not_be_searched_itself() {
        let dir = tree(&["a.png", "out/a.png.heatmap.png"]);
        let mut listing = Listing { roots: vec![Root::Folder(dir.path().to_owned())], ..Listing::default() };
        listing.keep_out(&dir.path().join("out")).unwrap();
        assert_eq!(listing.check().unwrap(), 1);
        assert!(matches!(listing.keep_out(dir.path()), Err(BatchError::OutputIsInput { .. })));
    }

    #[test]
    fn each_picture_once_and_none_that_was_painted() {
        let dir = tree(&["a.png", "sub/b.png", "sub/b.png.overlay.png", "b.png.overlay.png"]);
        let named = |names: &[&str]| names.iter().map(|n| Input::named(dir.path().join(n))).collect();
        let mut listing = Listing {
            roots: vec![
                Root::Files(named(&["sub/b.png", "b.png.overlay.png"])),
                Root::Folder(dir.path().to_owned()),
                Root::Folder(dir.path().to_owned()),
            ],
            ..Listing::default()
        };
        // What is named outright is looked at, unless this run writes there.
        assert_eq!(found(&listing).0, ["b.png", "b.png.overlay.png", "a.png"]);
        listing.roots.truncate(1);
        listing.skip = Some(dir.path().to_owned());
        assert_eq!(found(&listing).0, ["b.png"]);
    }

    #[test]
    fn names_lead_nowhere() {
        let input = Input { path: "x".into(), relative: "../../a/./b.png".into() };
        assert_eq!((input.inside(), input.name()), ("a/b.png".into(), b"a/b.png".to_vec()));
        assert_eq!(Input::named("/tmp/a/b.png".into()).name(), b"b.png");
    }
}
