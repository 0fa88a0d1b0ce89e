//! The download of one file, with everything that can go wrong.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo, Metadata};
use hf_hub::{Cache, Repo};
use indicatif::ProgressBar;

use super::{Hub, HubError, digests, is_digest};
use crate::progress::Progress;

/// How often a transfer that breaks is taken up again.
const ATTEMPTS: usize = 4;

/// The download of one file.
pub(super) struct Transfer<'a> {
    hub: &'a Hub,
    /// Where `hf-hub` puts files: it publishes before anything can look at them, so not where models are found.
    staging: Cache,
    api: Api,
    repo: Repo,
    file: &'a str,
}

/// A file that has arrived and is what it must be.
pub(super) struct Fetched {
    pub sha256: String,
    pub size: u64,
    pub commit: String,
    /// Whether the hub told the digest before the transfer, as it does for large files.
    pub digest_was_announced: bool,
}

impl<'a> Transfer<'a> {
    pub fn new(hub: &'a Hub, repo: Repo, file: &'a str) -> Result<Self, HubError> {
        let staging = Cache::new(hub.cache.path().join(".aaclip-staging"));
        let api = ApiBuilder::from_cache(staging.clone())
            .with_endpoint(hub.endpoint.clone())
            .with_token(hub.token.clone())
            .with_progress(false)
            .with_user_agent("aaclip", env!("CARGO_PKG_VERSION"))
            .build();
        let api =
            api.map_err(|e| HubError::NotAHub { endpoint: hub.endpoint.clone(), what: e.to_string() })?;
        Ok(Self { hub, staging, api, repo, file })
    }

    /// Fetches the file unless the cache already holds it whole, and checks it.
    pub fn run(mut self, expected: Option<&str>, progress: Progress) -> Result<Fetched, HubError> {
        let about = self.metadata()?;
        let size = about.size() as u64;
        // From here on the commit is pinned, not the branch.
        self.repo =
            Repo::with_revision(self.repo.url(), hf_hub::RepoType::Model, about.commit_hash().to_owned());
        let announced = Some(about.etag().to_owned()).filter(|etag| is_digest(etag));
        let expected = expected.map(str::to_owned).or_else(|| announced.clone());
        let fetched = |sha256: String| Fetched {
            sha256,
            size,
            commit: about.commit_hash().to_owned(),
            digest_was_announced: announced.is_some(),
        };
        let pointer =
            self.hub.cache.repo(self.repo.clone()).pointer_path(about.commit_hash()).join(self.file);
        if let (true, Some(expected)) = (pointer.is_file(), &expected) {
            let (sha256, found) = digests::sha256_of(&pointer)?;
            if sha256 == *expected && found == size {
                self.point_branch_at(about.commit_hash());
                return Ok(fetched(sha256));
            }
        }
        let part = self.staging.repo(self.repo.clone()).blob_path(about.etag()).with_extension("part");
        let mut resumed = part.is_file();
        loop {
            remove(&self.staging.repo(self.repo.clone()).pointer_path(about.commit_hash()).join(self.file));
            let path = self.download(size, &part, progress)?;
            match self.check(&path, size, expected.as_deref()) {
                Ok(sha256) => {
                    let blob = self.hub.cache.repo(self.repo.clone()).blob_path(about.etag());
                    publish(&path, &blob, &pointer).map_err(|source| HubError::Io {
                        action: "move into the cache",
                        path: pointer.clone(),
                        source,
                    })?;
                    self.point_branch_at(about.commit_hash());
                    return Ok(fetched(sha256));
                }
                Err(error) => {
                    remove(&path);
                    // The first part of a resumed file may belong to something else: once, start over.
                    if !std::mem::take(&mut resumed) {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Asks for size, digest and commit, and makes sure they can be used as names of files.
    fn metadata(&self) -> Result<Metadata, HubError> {
        let url = self.remote().url(self.file);
        let about = self.guarded(|| self.api.metadata(&url))?;
        let plain = |s: &str| {
            let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            !s.is_empty() && !s.starts_with('.') && s.len() <= 128 && s.bytes().all(legal)
        };
        if !plain(about.etag()) || !plain(about.commit_hash()) {
            return Err(self.not_a_hub("its file or revision has an impossible name"));
        }
        Ok(about)
    }

    /// Transfers the file, taking up again what broke.
    fn download(&self, size: u64, part: &Path, progress: Progress) -> Result<PathBuf, HubError> {
        let mut reason = String::new();
        for attempt in 0..ATTEMPTS {
            std::thread::sleep(Duration::from_millis(100 * attempt as u64));
            // A part that is already whole, or too long, makes the server refuse the rest.
            if std::fs::metadata(part).is_ok_and(|about| about.len() >= size) {
                remove(part);
            }
            let bar = Bar(progress.bytes(size, self.file));
            match self.guarded(|| self.remote().download_with_progress(self.file, bar)) {
                Ok(path) if std::fs::metadata(&path).is_ok_and(|about| about.len() < size) => {
                    // The server closed early and said nothing: keep what came, as a part.
                    reason = "the connection was closed early".to_owned();
                    keep_as_part(&path, part);
                }
                Ok(path) => return Ok(path),
                Err(HubError::Broken { reason: why, .. }) => reason = why,
                // The server cannot continue the part.
                Err(HubError::Status { status: 416, .. }) => {
                    remove(part);
                    "the server refused to continue".clone_into(&mut reason);
                }
                Err(other) => return Err(other),
            }
        }
        Err(HubError::Broken { url: self.remote().url(self.file), attempts: ATTEMPTS, reason })
    }

    fn check(&self, path: &Path, size: u64, expected: Option<&str>) -> Result<String, HubError> {
        let url = || self.remote().url(self.file);
        if let Some(what) = impostor(path, self.file) {
            return Err(HubError::NotWeights { url: url(), what });
        }
        let (sha256, found) = digests::sha256_of(path)?;
        if found != size {
            return Err(HubError::Size { url: url(), expected: size, found });
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

    /// Makes the commit findable by its own name, also when nothing had to be transferred.
    fn point_branch_at(&self, commit: &str) {
        let _ = self.hub.cache.repo(self.repo.clone()).create_ref(commit);
    }

    fn remote(&self) -> ApiRepo {
        self.api.repo(self.repo.clone())
    }

    fn not_a_hub(&self, what: &str) -> HubError {
        HubError::NotAHub { endpoint: self.hub.endpoint.clone(), what: what.to_owned() }
    }

    /// Runs a call of `hf-hub`, which gives up with a panic on answers it does not expect.
    fn guarded<T>(&self, call: impl FnOnce() -> Result<T, ApiError>) -> Result<T, HubError> {
        match catch_unwind(AssertUnwindSafe(call)) {
            Ok(result) => result.map_err(|e| self.explain(e)),
            Err(_) => Err(self.not_a_hub("its redirection leads nowhere")),
        }
    }

    fn explain(&self, error: ApiError) -> HubError {
        let url = self.remote().url(self.file);
        let broken = |reason: String| HubError::Broken { url: url.clone(), attempts: 1, reason };
        match error {
            ApiError::RequestError(error) => match *error {
                ureq::Error::StatusCode(status @ (401 | 403)) => HubError::Denied { url, status },
                ureq::Error::StatusCode(404) => HubError::NotFound { url },
                ureq::Error::StatusCode(status) => HubError::Status { url, status },
                ureq::Error::Protocol(e) => broken(e.to_string()),
                ureq::Error::Io(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => broken(e.to_string()),
                other => {
                    HubError::Unreachable { endpoint: self.hub.endpoint.clone(), reason: other.to_string() }
                }
            },
            ApiError::IoError(e) => broken(e.to_string()),
            ApiError::InvalidResume => broken("the part on disk is too long".to_owned()),
            ApiError::LockAcquisition(path) => HubError::Io {
                action: "lock",
                path,
                source: std::io::Error::other("another process is downloading this file"),
            },
            other => self.not_a_hub(&other.to_string()),
        }
    }
}

/// What a file is if it is not what its name says.
fn impostor(path: &Path, name: &str) -> Option<&'static str> {
    use std::io::Read;
    let mut head = Vec::new();
    std::fs::File::open(path).ok()?.take(256).read_to_end(&mut head).ok()?;
    let text = head.trim_ascii_start().to_ascii_lowercase();
    if text.starts_with(b"version https://git-lfs") {
        Some("a Git-LFS pointer")
    } else if text.starts_with(b"<!doctype") || text.starts_with(b"<html") {
        Some("a web page")
    } else if name.ends_with(".json") && !text.starts_with(b"{") {
        Some("something that is not JSON")
    } else {
        None
    }
}

/// Moves a file that has been checked to where models are looked for: first its content, then, at once, the name.
/// Both caches are in one folder, so nothing is copied.
fn publish(staged: &Path, blob: &Path, pointer: &Path) -> std::io::Result<()> {
    for path in [blob, pointer] {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
    }
    let content = std::fs::canonicalize(staged)?;
    #[cfg(unix)]
    {
        std::fs::rename(content, blob)?;
        std::fs::remove_file(staged)?;
        // As the hub's own tools link: from snapshots/COMMIT/FILE to blobs/ETAG.
        let target = Path::new("../../blobs").join(blob.file_name().unwrap_or_default());
        let fresh = pointer.with_extension("aaclip-link");
        let _ = std::fs::remove_file(&fresh);
        std::os::unix::fs::symlink(target, &fresh)?;
        std::fs::rename(fresh, pointer)
    }
    #[cfg(not(unix))]
    {
        std::fs::rename(content, pointer)?;
        let _ = std::fs::remove_file(staged);
        Ok(())
    }
}

/// Moves a file that arrived cut short (`path` links to it) to where the next attempt continues it.
fn keep_as_part(path: &Path, part: &Path) {
    if let Ok(blob) = std::fs::canonicalize(path) {
        let _ = std::fs::rename(blob, part);
    }
    let _ = std::fs::remove_file(path);
}

/// Removes a file of the cache and what it links to.
fn remove(path: &Path) {
    if let Ok(blob) = std::fs::canonicalize(path) {
        let _ = std::fs::remove_file(blob);
    }
    let _ = std::fs::remove_file(path);
}

/// A progress bar as `hf-hub` drives it.
struct Bar(ProgressBar);

impl hf_hub::api::Progress for Bar {
    fn init(&mut self, size: usize, _file: &str) {
        self.0.set_length(size as u64);
        self.0.set_position(0);
    }

    fn update(&mut self, bytes: usize) {
        self.0.inc(bytes as u64);
    }

    fn finish(&mut self) {
        self.0.finish_and_clear();
    }
}
