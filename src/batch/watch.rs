//! Pictures that appear in watched folders.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Config, Event, EventKind, PollWatcher, RecommendedWatcher, RecursiveMode, Watcher};

use super::{BatchError, Input, Listing, ListingProblem, Root};
use crate::files::Stamp;

/// Interval at which a waiting watch checks whether to stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// Time without changes after which a file counts as complete, if the system does not report when it is
/// closed.
const SETTLED: Duration = Duration::from_secs(2);

/// How new files are detected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WatchBy {
    /// Events of the system. On Linux a file counts when it is closed after writing or renamed into the
    /// folder. Files that already exist or are links, and all files on other systems, count when they have
    /// not changed for two seconds.
    #[default]
    Events,
    /// Repeated searches of the folders, for network file systems, which report no changes by other machines.
    /// A file counts when it has not changed for two seconds.
    Poll(Duration),
}

/// An endless listing: existing files first, then new ones.
pub struct Watch<'a> {
    listing: &'a Listing,
    /// The folders as given and as named in events.
    folders: Vec<(PathBuf, PathBuf)>,
    stop: &'a AtomicBool,
    events: Receiver<notify::Result<Event>>,
    /// Whether the system reports when a file is closed.
    closes: bool,
    found: Box<dyn Iterator<Item = Result<Input, ListingProblem>> + Send + 'a>,
    /// Files that may still be written, with the time of their last change; in the order of their names.
    unsettled: BTreeMap<PathBuf, (Option<Stamp>, Instant)>,
    /// Hashes of the returned files and of their last states, so that two events of one change count once:
    /// about 30 bytes per file, because a watch may run for months.
    seen: HashMap<u64, u64>,
    hasher: RandomState,
    /// For results stored by name and several folders: the path with each name.
    names: HashMap<u64, u64>,
    /// Missing folders, as indices in `folders`.
    lost: Vec<usize>,
    watcher: Box<dyn Watcher + Send>,
}

impl<'a> Watch<'a> {
    /// Watches the folders of `listing` until `stop` is set. Existing files come first.
    ///
    /// # Errors
    /// The listing has more than folders, or a folder cannot be watched.
    pub fn start(listing: &'a Listing, by: WatchBy, stop: &'a AtomicBool) -> Result<Self, BatchError> {
        let whole = |root: &Root| match root {
            Root::Folder(folder) => {
                Some((folder.clone(), std::path::absolute(folder).unwrap_or_else(|_| folder.clone())))
            }
            Root::Files(_) => None,
        };
        if let Some(Root::Files(files)) = listing.roots.iter().find(|root| matches!(root, Root::Files(_))) {
            let path = files.first().map(|input| input.path.clone()).unwrap_or_default();
            return Err(BatchError::OnlyFolders(path));
        }
        let folders: Vec<_> = listing.roots.iter().filter_map(whole).collect();
        let first = folders.first().map(|(named, _)| named.clone()).unwrap_or_default();
        // A watcher panics without a thread of its own.
        if let Err(e) = std::thread::Builder::new().spawn(|| {}) {
            return Err(BatchError::Watch(first, e.to_string()));
        }
        let (sender, events) = channel();
        let (mut watcher, closes): (Box<dyn Watcher + Send>, bool) = match by {
            WatchBy::Events => {
                let watcher = RecommendedWatcher::new(sender, Config::default());
                (Box::new(watcher.map_err(|e| unwatchable(&first, &e))?), cfg!(target_os = "linux"))
            }
            WatchBy::Poll(every) => {
                let config = Config::default().with_poll_interval(every);
                let watcher = PollWatcher::new(sender, config).map_err(|e| unwatchable(&first, &e))?;
                (Box::new(watcher), false)
            }
        };
        // Watched before they are listed, so that a file that arrives in between is seen twice instead of
        // never.
        for (folder, absolute) in &folders {
            watcher.watch(absolute, RecursiveMode::Recursive).map_err(|e| unwatchable(folder, &e))?;
        }
        Ok(Self {
            listing,
            folders,
            stop,
            events,
            closes,
            found: Box::new(listing.iter()),
            unsettled: BTreeMap::new(),
            seen: HashMap::new(),
            hasher: RandomState::new(),
            names: HashMap::new(),
            lost: Vec::new(),
            watcher,
        })
    }

    /// A picture that a search found: one that was written just now may still be.
    fn look(&mut self, input: Input) -> Option<Result<Input, ListingProblem>> {
        if is_young(&input.path) {
            let path = std::path::absolute(&input.path).unwrap_or_else(|_| input.path.clone());
            self.unsettled.insert(path, (Stamp::read(&input.path), Instant::now()));
            return None;
        }
        self.hand_out(input)
    }

    /// Returns a complete picture, unless it was already returned in this state.
    fn hand_out(&mut self, input: Input) -> Option<Result<Input, ListingProblem>> {
        if !self.is_news(&input.path) {
            return None;
        }
        if self.folders.len() > 1 && self.listing.skip.is_some() {
            let (name, path) = (self.hasher.hash_one(input.name()), self.hasher.hash_one(&input.path));
            if *self.names.entry(name).or_insert(path) != path {
                return Some(Err(ListingProblem::Namesake(input.path)));
            }
        }
        Some(Ok(input))
    }

    /// Handles an event.
    fn take(&mut self, event: &Event) -> Option<Result<Input, ListingProblem>> {
        if let Some(problem) = self.lose(event) {
            return Some(Err(problem));
        }
        // The system dropped events, or a folder with files was moved in: search the folders.
        let folder_came = matches!(event.kind, EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(_)))
            && event.paths.last().is_some_and(|path| path.is_dir());
        if event.need_rescan() || folder_came {
            self.found = Box::new(self.listing.iter());
            return None;
        }
        let path = event.paths.last()?;
        let complete = matches!(
            event.kind,
            EventKind::Access(AccessKind::Close(AccessMode::Write))
                | EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both))
        );
        if complete {
            return self.input(path).and_then(|input| self.hand_out(input));
        }
        let written = match event.kind {
            // A link is not closed after writing.
            EventKind::Create(_) => !self.closes || is_link(path),
            EventKind::Modify(_) => !self.closes,
            _ => false,
        };
        if written && self.input(path).is_some() {
            self.unsettled.insert(path.clone(), (Stamp::read(path), Instant::now()));
        }
        None
    }

    /// Records that a watched folder does not exist any more; the system reports no more events for it, even if another
    /// folder replaces it.
    fn lose(&mut self, event: &Event) -> Option<ListingProblem> {
        let away = matches!(
            event.kind,
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From))
        );
        let is_it = |(_, absolute): &(PathBuf, PathBuf)| event.paths.contains(absolute);
        let lost = self.folders.iter().position(is_it).filter(|_| self.closes && away)?;
        if self.lost.contains(&lost) {
            return None;
        }
        let (named, absolute) = &self.folders[lost];
        // The watch may already be removed.
        let _ = self.watcher.unwatch(absolute);
        self.lost.push(lost);
        Some(ListingProblem::Gone(named.clone()))
    }

    /// Watches folders again that have reappeared.
    fn return_to_lost(&mut self) {
        if self.lost.is_empty() {
            return;
        }
        let (folders, watcher) = (&self.folders, &mut self.watcher);
        let before = self.lost.len();
        self.lost.retain(|&lost| {
            let (_, absolute) = &folders[lost];
            !(absolute.is_dir() && watcher.watch(absolute, RecursiveMode::Recursive).is_ok())
        });
        if self.lost.len() < before {
            self.found = Box::new(self.listing.iter());
        }
    }

    /// A file that has not changed for a while.
    fn settled(&mut self) -> Option<Input> {
        let due = self.unsettled.iter().find(|(_, (_, since))| since.elapsed() >= SETTLED)?.0.clone();
        let (before, _) = self.unsettled.remove(&due)?;
        let now = Stamp::read(&due)?;
        if before != Some(now) {
            self.unsettled.insert(due, (Some(now), Instant::now()));
            return None;
        }
        self.input(&due)
    }

    /// A path as an input, if the run takes it.
    fn input(&self, path: &Path) -> Option<Input> {
        let (named, relative) = self
            .folders
            .iter()
            .find_map(|(named, absolute)| Some((named, path.strip_prefix(absolute).ok()?)))?;
        let input = Input { path: named.join(relative), relative: relative.to_owned() };
        self.listing.takes(&input).then_some(input)
    }

    /// Whether the state of a file differs from the last returned state.
    fn is_news(&mut self, path: &Path) -> bool {
        let Some(now) = Stamp::read(path) else { return true };
        let (path, now) = (self.hasher.hash_one(path), self.hasher.hash_one(now));
        self.seen.insert(path, now) != Some(now)
    }
}

impl Iterator for Watch<'_> {
    type Item = Result<Input, ListingProblem>;

    /// The next picture; `None` when the watch was stopped. An empty folder is not a problem here.
    fn next(&mut self) -> Option<Self::Item> {
        while !self.stop.load(Ordering::Relaxed) {
            self.return_to_lost();
            match self.found.next() {
                Some(Ok(input)) => match self.look(input) {
                    None => continue,
                    found => return found,
                },
                Some(Err(ListingProblem::NoPictures { .. })) => continue,
                Some(problem) => return Some(problem),
                None => {}
            }
            let found = self.settled().and_then(|input| self.hand_out(input));
            if found.is_some() {
                return found;
            }
            match self.events.recv_timeout(PATIENCE) {
                Ok(Ok(event)) => {
                    let found = self.take(&event);
                    if found.is_some() {
                        return found;
                    }
                }
                Ok(Err(e)) => {
                    let folder = e.paths.first().cloned().unwrap_or_default();
                    let reason = notify::Error { paths: Vec::new(), ..e }.to_string();
                    return Some(Err(ListingProblem::Search(folder, reason)));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
        None
    }
}

/// Whether a file was written so recently that more may follow.
fn is_young(path: &Path) -> bool {
    let modified = std::fs::metadata(path).and_then(|about| about.modified());
    // A time in the future is from another clock and has no meaning.
    modified.is_ok_and(|time| time.elapsed().map_or(true, |age| age < SETTLED))
}

/// Whether a path is a link, or one of several names of a file.
fn is_link(path: &Path) -> bool {
    let Ok(about) = path.symlink_metadata() else { return false };
    #[cfg(unix)]
    let more_names = std::os::unix::fs::MetadataExt::nlink(&about) > 1;
    #[cfg(not(unix))]
    let more_names = false;
    about.is_symlink() || more_names
}

fn unwatchable(folder: &Path, e: &notify::Error) -> BatchError {
    BatchError::Watch(folder.to_owned(), e.to_string())
}
