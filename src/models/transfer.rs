//! The download of one file, with all possible failures.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::again::{Failure, again};
use super::cache::CachedRepo;
use super::client::{Answer, Client, header, interrupted};
use super::digests::{is_digest, sha256_of};
use super::{Hub, HubError, is_plain_name};
use crate::progress::Progress;

/// The download of one file.
pub(super) struct Transfer<'a> {
    hub: &'a Hub,
    client: Client<'a>,
    cache: CachedRepo,
    repo: &'a str,
    file: &'a str,
}

/// A downloaded and checked file.
pub(super) struct Fetched {
    pub sha256: String,
    pub size: u64,
    pub commit: String,
    /// Whether the hub announced the digest before the transfer, as it does for large files.
    pub digest_was_announced: bool,
}

/// The hub's metadata of a file before the transfer.
struct About {
    size: u64,
    commit: String,
    etag: String,
}

impl<'a> Transfer<'a> {
    /// # Errors
    /// As [`Client::new`].
    pub fn new(hub: &'a Hub, repo: &'a str, file: &'a str) -> Result<Self, HubError> {
        let cache = CachedRepo::new(hub.cache_folder(), repo);
        Ok(Self { hub, client: Client::new(hub)?, cache, repo, file })
    }

    /// Downloads the file unless the cache already has all of it, and checks it.
    pub fn run(
        self,
        revision: &str,
        expected: Option<&str>,
        progress: Progress,
    ) -> Result<Fetched, HubError> {
        let about = self.ask(revision)?;
        let announced = Some(&about.etag).filter(|etag| is_digest(etag));
        let expected = expected.or(announced.map(String::as_str));
        let pointer = self.cache.pointer(&about.commit, self.file);
        let sha256 = match self.whole(&pointer, about.size, expected)? {
            Some(sha256) => sha256,
            None => self.fetch(&about, expected, &pointer, progress)?,
        };
        if revision != about.commit {
            self.cache.point(revision, &about.commit).map_err(|source| HubError::Io {
                action: "record the branch of",
                path: pointer.clone(),
                source,
            })?;
        }
        let digest_was_announced = announced.is_some();
        Ok(Fetched { sha256, size: about.size, commit: about.commit, digest_was_announced })
    }

    /// Requests size, digest and commit, and checks that they are safe as file names.
    fn ask(&self, revision: &str) -> Result<About, HubError> {
        let url = self.url(revision);
        let Answer { response, commit, etag, linked_size } =
            again(self.hub, self.file, || self.client.get(&url, "bytes=0-0"))?;
        let missing = |what: &str| self.hub.not_a_hub(what);
        let commit = commit.ok_or_else(|| missing("it names no commit"))?;
        let etag = etag.ok_or_else(|| missing("it names no content"))?;
        if !is_plain_name(&etag) || !is_plain_name(&commit) {
            return Err(missing("its file or revision has an invalid name"));
        }
        // A server without range support sends the whole file, which is not read.
        let size = match header(&response, "Content-Range") {
            Some(range) => range.rsplit('/').next().and_then(|total| total.parse().ok()).or(linked_size),
            None => response.body().content_length(),
        };
        Ok(About { size: size.ok_or_else(|| missing("it names no size"))?, commit, etag })
    }

    /// The digest of a file that is already in the cache with the expected content.
    fn whole(&self, path: &Path, size: u64, expected: Option<&str>) -> Result<Option<String>, HubError> {
        let Some(expected) = expected.filter(|_| path.is_file()) else { return Ok(None) };
        let (sha256, found) = sha256_of(path)?;
        Ok(Some(sha256).filter(|sha256| sha256 == expected && found == size))
    }

    /// Transfers the file into the staging folder, checks it and publishes it.
    fn fetch(
        &self,
        about: &About,
        expected: Option<&str>,
        pointer: &Path,
        progress: Progress,
    ) -> Result<String, HubError> {
        let part = Part::open(self.hub.cache_folder(), &about.etag)?;
        let mut resumed = part.len()? > 0;
        loop {
            self.transfer(about, &part, progress)?;
            match self.check(&part.path, about, expected) {
                Ok(sha256) => {
                    let published = self.cache.publish(&part.path, &about.etag, pointer);
                    published.map_err(|source| HubError::Io {
                        action: "move into the cache",
                        path: pointer.to_owned(),
                        source,
                    })?;
                    return Ok(sha256);
                }
                Err(error) => {
                    part.clear()?;
                    // The first part of a resumed file may belong to other content: start over once.
                    if !std::mem::take(&mut resumed) {
                        let _ = std::fs::remove_file(&part.path);
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Transfers the file and resumes after failures.
    fn transfer(&self, about: &About, part: &Part, progress: Progress) -> Result<(), HubError> {
        // From here on the commit is used instead of the branch.
        let url = self.url(&about.commit);
        again(self.hub, self.file, || match self.receive(&url, about.size, part, progress) {
            Ok(()) if part.len()? < about.size => {
                Err(interrupted(&url, "the connection was closed early".to_owned()))
            }
            Err(Failure::Lasting(HubError::Status { status: 416, .. })) => {
                part.clear()?;
                Err(interrupted(&url, "the server refused to continue".to_owned()))
            }
            other => other,
        })
    }

    /// Appends the missing bytes to the part, as many as arrive.
    fn receive(&self, url: &str, size: u64, part: &Part, progress: Progress) -> Result<(), Failure> {
        if part.len()? >= size {
            part.clear()?;
        }
        let start = part.len()?;
        let answer = self.client.get(url, &format!("bytes={start}-"))?;
        // The server ignores the range and sends the whole file.
        let start = if answer.response.status() == 200 { 0 } else { start };
        let mut file = &part.file;
        file.set_len(start).and_then(|()| file.seek(SeekFrom::Start(start))).map_err(|e| part.io(e))?;
        let bar = progress.bytes(size, self.file);
        bar.set_position(start);
        // One extra byte reveals that there are too many.
        let mut body = answer.response.into_body().into_reader().take(size + 1 - start);
        let mut buffer = vec![0; 1 << 16];
        let received = loop {
            match body.read(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(count) => {
                    file.write_all(&buffer[..count]).map_err(|e| part.io(e))?;
                    bar.inc(count as u64);
                }
                Err(e) => break Err(self.client.broken(url, e.into())),
            }
        };
        bar.finish_and_clear();
        received
    }

    fn check(&self, path: &Path, about: &About, expected: Option<&str>) -> Result<String, HubError> {
        let url = || self.url(&about.commit);
        if let Some(what) = impostor(path, self.file) {
            return Err(HubError::NotWeights { url: url(), what });
        }
        let (sha256, found) = sha256_of(path)?;
        if found != about.size {
            return Err(HubError::Size { url: url(), expected: about.size, found });
        }
        match expected {
            Some(expected) if expected != sha256 => Err(HubError::Digest {
                path: path.to_owned(),
                expected: expected.to_owned(),
                found: sha256,
                removed: true,
            }),
            _ => Ok(sha256),
        }
    }

    fn url(&self, revision: &str) -> String {
        format!("{}/{}/resolve/{revision}/{}", self.hub.endpoint(), self.repo, self.file)
    }
}

/// An incomplete file that only this process writes.
struct Part {
    path: PathBuf,
    file: File,
    /// Locked during the lifetime of this value.
    _lock: File,
}

impl Part {
    /// Opens the partial file of a content, which an earlier process may have started, in the staging folder.
    fn open(cache: &Path, etag: &str) -> Result<Self, HubError> {
        let folder = cache.join(".aaclip-staging");
        let io = |action, path: &Path, source| HubError::Io { action, path: path.to_owned(), source };
        std::fs::create_dir_all(&folder).map_err(|e| io("create", &folder, e))?;
        let lock_path = folder.join(format!("{etag}.lock"));
        let lock = File::create(&lock_path).map_err(|e| io("create", &lock_path, e))?;
        lock.try_lock().map_err(|e| match e {
            TryLockError::Error(e) => io("lock", &lock_path, e),
            TryLockError::WouldBlock => {
                let busy = std::io::Error::other("another process is downloading this file");
                io("lock", &lock_path, busy)
            }
        })?;
        let path = folder.join(format!("{etag}.part"));
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        Ok(Self { file: file.map_err(|e| io("create", &path, e))?, path, _lock: lock })
    }

    fn len(&self) -> Result<u64, HubError> {
        self.file.metadata().map(|about| about.len()).map_err(|e| self.io(e))
    }

    fn clear(&self) -> Result<(), HubError> {
        self.file.set_len(0).map_err(|e| self.io(e))
    }

    fn io(&self, source: std::io::Error) -> HubError {
        HubError::Io { action: "write", path: self.path.clone(), source }
    }
}

/// The actual kind of a file that does not match its name.
fn impostor(path: &Path, name: &str) -> Option<&'static str> {
    let mut head = Vec::new();
    File::open(path).ok()?.take(256).read_to_end(&mut head).ok()?;
    let text = head.trim_ascii_start().to_ascii_lowercase();
    if text.starts_with(b"version https://git-lfs") {
        Some("a Git-LFS pointer")
    } else if text.starts_with(b"<!doctype") || text.starts_with(b"<html") {
        Some("a web page")
    } else if name.ends_with(".json") && !text.starts_with(b"{") {
        Some("a file that is not JSON")
    } else {
        None
    }
}
