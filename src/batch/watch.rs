//! Pictures that appear in folders while they are watched.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Config, Event, EventKind, PollWatcher, RecommendedWatcher, RecursiveMode, Watcher};

use super::{BatchError, Input, Listing, ListingProblem, Root};
use crate::files::Stamp;

/// How often a waiting watch looks whether it should stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long a file must not change before it counts as complete, where the system does not say when it is closed.
const SETTLED: Duration = Duration::from_secs(2);

/// How a watch learns of new files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WatchBy {
    /// The system tells. On Linux a file counts when it is closed after writing or renamed into the folder, elsewhere
    /// when it has not changed for two seconds.
    #[default]
    Events,
    /// The folders are searched again and again: for network file systems, which tell nothing of what other machines
    /// write. A file counts when it has not changed for two seconds.
    Poll(Duration),
}

/// An endless listing: what there is, then what comes.
pub struct Watch<'a> {
    listing: &'a Listing,
    /// The folders as they were named and as events name them.
    folders: Vec<(PathBuf, PathBuf)>,
    stop: &'a AtomicBool,
    events: Receiver<notify::Result<Event>>,
    /// Whether the system says when a file is closed.
    closes: bool,
    found: Box<dyn Iterator<Item = Result<Input, ListingProblem>> + Send + 'a>,
    /// Files that may still be written, and since when they have not changed.
    unsettled: HashMap<PathBuf, (Option<Stamp>, Instant)>,
    /// Hashes of the files that were handed out and of their last state, so that two events of one change count once:
    /// some 30 bytes a file, for a watch may go on for months.
    seen: HashMap<u64, u64>,
    hasher: RandomState,
    _watcher: Box<dyn Watcher + Send>,
}

impl<'a> Watch<'a> {
    /// Watches the folders of `listing` until `stop` is set. What is in them already comes first.
    ///
    /// # Errors
    /// A listing of anything but folders, or a folder that cannot be watched.
    pub fn start(listing: &'a Listing, by: WatchBy, stop: &'a AtomicBool) -> Result<Self, BatchError> {
        let whole = |root: &Root| match root {
            Root::Folder(folder) => {
                Some((folder.clone(), std::path::absolute(folder).unwrap_or_else(|_| folder.clone())))
            }
            Root::Files(_) => None,
        };
        let folders: Option<Vec<_>> = listing.roots.iter().map(whole).collect();
        let Some((folders, first)) =
            folders.and_then(|f| f.first().map(|(named, _)| named.clone()).map(|n| (f, n)))
        else {
            return Err(BatchError::OnlyFolders);
        };
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
        // Watched before they are listed: what comes in between is seen twice rather than not at all.
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
            unsettled: HashMap::new(),
            seen: HashMap::new(),
            hasher: RandomState::new(),
            _watcher: watcher,
        })
    }

    /// The next picture; `None` when the watch was stopped. An empty folder is no problem here.
    fn wait(&mut self) -> Option<Result<Input, ListingProblem>> {
        while !self.stop.load(Ordering::Relaxed) {
            match self.found.next() {
                Some(Ok(input)) if self.is_news(&input.path) => return Some(Ok(input)),
                Some(Ok(_) | Err(ListingProblem::NoPictures { .. })) => continue,
                Some(problem) => return Some(problem),
                None => {}
            }
            if let Some(input) = self.settled() {
                return Some(Ok(input));
            }
            match self.events.recv_timeout(PATIENCE) {
                Ok(Ok(event)) => {
                    if let Some(input) = self.take(&event) {
                        return Some(Ok(input));
                    }
                }
                Ok(Err(e)) => {
                    let folder = e.paths.first().cloned().unwrap_or_default();
                    return Some(Err(ListingProblem::Search { folder, reason: e.to_string() }));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
        None
    }

    /// What an event tells of.
    fn take(&mut self, event: &Event) -> Option<Input> {
        // The system dropped events, or a folder came with files in it: look for oneself.
        let folder_came = matches!(event.kind, EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(_)))
            && event.paths.last().is_some_and(|path| path.is_dir());
        if event.need_rescan() || folder_came {
            self.found = Box::new(self.listing.iter());
            return None;
        }
        let complete = matches!(
            event.kind,
            EventKind::Access(AccessKind::Close(AccessMode::Write))
                | EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both))
        );
        let written = matches!(event.kind, EventKind::Create(_) | EventKind::Modify(_));
        let path = event.paths.last()?;
        match (complete, written && !self.closes) {
            (true, _) => self.input(path).filter(|input| self.is_news(&input.path)),
            (false, true) => {
                if self.input(path).is_some() {
                    self.unsettled.insert(path.clone(), (stamp(path), Instant::now()));
                }
                None
            }
            (false, false) => None,
        }
    }

    /// A file that has not changed for a while.
    fn settled(&mut self) -> Option<Input> {
        let due = self.unsettled.iter().find(|(_, (_, since))| since.elapsed() >= SETTLED)?.0.clone();
        let (before, _) = self.unsettled.remove(&due)?;
        let now = stamp(&due)?;
        if before != Some(now) {
            self.unsettled.insert(due, (Some(now), Instant::now()));
            return None;
        }
        self.input(&due).filter(|input| self.is_news(&input.path))
    }

    /// A path as an input, if the run takes such.
    fn input(&self, path: &Path) -> Option<Input> {
        let (named, relative) = self
            .folders
            .iter()
            .find_map(|(named, absolute)| Some((named, path.strip_prefix(absolute).ok()?)))?;
        let input = Input { path: named.join(relative), relative: relative.to_owned() };
        self.listing.takes(&input).then_some(input)
    }

    /// Whether a file is in another state than when it was handed out last.
    fn is_news(&mut self, path: &Path) -> bool {
        let Some(now) = stamp(path) else { return true };
        let (path, now) = (self.hasher.hash_one(path), self.hasher.hash_one(now));
        self.seen.insert(path, now) != Some(now)
    }
}

impl Iterator for Watch<'_> {
    type Item = Result<Input, ListingProblem>;

    fn next(&mut self) -> Option<Self::Item> {
        self.wait()
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    std::fs::metadata(path).ok().map(|m| Stamp::of(&m))
}

fn unwatchable(folder: &Path, e: &notify::Error) -> BatchError {
    BatchError::Watch { folder: folder.to_owned(), reason: e.to_string() }
}
