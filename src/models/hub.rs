//! A Hugging Face hub and its local cache.
//!
//! Files are in the hub's own cache, which other programs share in both directions. Sizes and SHA-256 digests are
//! checked and revisions are pinned.

use std::path::{Path, PathBuf};

use super::cache::CachedRepo;
use super::digests::{Digests, Recorded, digest_in_name, sha256_of};
#[cfg(feature = "hub")]
use super::transfer::Transfer;
use super::{HubError, RegistryEntry, RemoteFile};
#[cfg(feature = "hub")]
use crate::progress::Progress;

/// A hub and its local cache.
pub struct Hub {
    endpoint: String,
    cache: PathBuf,
    token: Option<String>,
    offline: bool,
    #[cfg(feature = "hub")]
    notice: Notice,
}

/// The receiver of messages about a download that goes on.
#[cfg(feature = "hub")]
type Notice = Box<dyn Fn(&str) + Send + Sync>;

/// The result for one file of a download or a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// Its content has the expected digest.
    Verified,
    /// No digest was known; its digest is recorded and expected from now on.
    Recorded,
}

impl Hub {
    /// The hub and cache in the environment: `HF_ENDPOINT`, `HF_HUB_CACHE` or `HF_HOME`, `HF_TOKEN` (else
    /// the token file of the cache) and `HF_HUB_OFFLINE`, with Hugging Face's defaults.
    ///
    /// # Errors
    /// There is no home folder for the cache.
    pub fn from_env() -> Result<Self, HubError> {
        let set = |name: &str| std::env::var(name).ok().filter(|v| !v.trim().is_empty());
        let cache = match (set("HF_HUB_CACHE"), set("HF_HOME")) {
            (Some(cache), _) => PathBuf::from(cache),
            (None, Some(home)) => Path::new(&home).join("hub"),
            (None, None) => crate::files::home_dir().ok_or(HubError::NoHome)?.join(".cache/huggingface/hub"),
        };
        let token = || {
            let text = std::fs::read_to_string(cache.parent()?.join("token")).ok()?;
            Some(text.trim().to_owned()).filter(|token| !token.is_empty())
        };
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        let offline = set("HF_HUB_OFFLINE")
            .is_some_and(|v| matches!(v.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on"));
        Ok(Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token: set("HF_TOKEN").map(|token| token.trim().to_owned()).or_else(token),
            cache,
            offline,
            #[cfg(feature = "hub")]
            notice: Box::new(|_| {}),
        })
    }

    /// The hub's address.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The folder of the local cache; it need not exist.
    pub fn cache_folder(&self) -> &Path {
        &self.cache
    }

    /// Whether there is a token to send.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whether downloads are forbidden.
    pub fn is_offline(&self) -> bool {
        self.offline
    }

    /// The folder of a downloaded model, if it contains the configuration and the weights with the recorded sizes.
    /// Nothing is downloaded.
    pub fn locate(&self, entry: &RegistryEntry) -> Option<PathBuf> {
        let digests = Digests::load();
        let cached = CachedRepo::new(&self.cache, &entry.repo);
        let both = |revision: &str| {
            Some((cached.get(revision, &entry.weights.file)?, cached.get(revision, &entry.config.file)?))
        };
        let pinned = digests.get(&entry.repo, &entry.weights.file).and_then(|r| both(&r.commit));
        let (weights, config) = pinned.or_else(|| both(&entry.revision))?;
        let folder = weights.parent()?;
        let whole = [(&entry.weights, &weights), (&entry.config, &config)].into_iter().all(|(file, path)| {
            let recorded = digests.get(&entry.repo, &file.file);
            recorded.is_none_or(|r| std::fs::metadata(path).is_ok_and(|about| about.len() == r.size))
        });
        (whole && config.parent() == Some(folder)).then(|| folder.to_owned())
    }

    /// The folder of a model that must have been downloaded.
    ///
    /// # Errors
    /// [`HubError::NotCached`] with the command for the download and its size.
    pub fn require(&self, entry: &RegistryEntry) -> Result<PathBuf, HubError> {
        self.locate(entry).ok_or_else(|| HubError::not_cached(entry))
    }

    /// Reads a downloaded model's files again and compares their digests.
    ///
    /// # Errors
    /// The model is not downloaded, or a file has changed.
    pub fn verify(&self, entry: &RegistryEntry) -> Result<Vec<(PathBuf, FileState)>, HubError> {
        let folder = self.require(entry)?;
        let mut digests = Digests::load();
        let mut states = Vec::new();
        for file in [&entry.config, &entry.weights] {
            let path = folder.join(&file.file);
            let (sha256, size) = sha256_of(&path)?;
            let expected = expected_digest(entry, file, &digests).or_else(|| digest_in_name(&path));
            let state = match expected {
                Some(expected) if expected == sha256 => FileState::Verified,
                Some(expected) => {
                    return Err(HubError::Digest { path, expected, found: sha256, removed: false });
                }
                None => FileState::Recorded,
            };
            let commit = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            digests.record(&entry.repo, &file.file, Recorded { sha256, size, commit })?;
            states.push((path, state));
        }
        Ok(states)
    }
}

#[cfg(feature = "hub")]
impl Hub {
    /// Sets the receiver of messages about downloads: why something is tried again, and when.
    pub fn on_notice(mut self, notice: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.notice = Box::new(notice);
        self
    }

    /// Downloads the missing or damaged files of a model; returns its folder and the state of its files.
    ///
    /// `HF_HUB_DOWNLOAD_TIMEOUT` is the time limit in seconds for a connection and for an answer's next byte,
    /// `AACLIP_RETRY_PAUSE` the pause in seconds before the second attempt.
    ///
    /// # Errors
    /// The mode is offline, the hub cannot be reached or refuses, the transfer fails repeatedly, or a file has the wrong
    /// content. A partial file never has the path of a model.
    pub fn pull(&self, entry: &RegistryEntry, progress: Progress) -> Result<(PathBuf, FileState), HubError> {
        if self.offline {
            return Err(HubError::Offline { name: entry.name.clone() });
        }
        let mut digests = Digests::load();
        let mut state = FileState::Verified;
        let mut commit = digests.get(&entry.repo, &entry.weights.file).map(|r| r.commit.clone());
        for file in [&entry.config, &entry.weights] {
            let expected = expected_digest(entry, file, &digests);
            let revision = commit.as_deref().unwrap_or(&entry.revision);
            let fetched =
                Transfer::new(self, &entry.repo, &file.file)?.run(revision, expected.as_deref(), progress)?;
            // Both files are from one commit, even if the branch moves during the download.
            commit.get_or_insert(fetched.commit.clone());
            if expected.is_none() && !fetched.digest_was_announced {
                state = FileState::Recorded;
            }
            let recorded = Recorded { sha256: fetched.sha256, size: fetched.size, commit: fetched.commit };
            digests.record(&entry.repo, &file.file, recorded)?;
        }
        let folder =
            self.locate(entry).ok_or_else(|| self.not_a_hub("its files belong to different revisions"))?;
        Ok((folder, state))
    }

    /// The token, only for the hub's own address: downloads may be redirected to other hosts.
    pub(super) fn token_for(&self, url: &str) -> Option<&str> {
        self.token.as_deref().filter(|_| self.is_at(url))
    }

    /// Whether an address has the hub's scheme, host and port.
    pub(super) fn is_at(&self, url: &str) -> bool {
        super::client::same_origin(url, &self.endpoint)
    }

    pub(super) fn notice(&self, text: &str) {
        (self.notice)(text);
    }

    pub(super) fn not_a_hub(&self, what: &str) -> HubError {
        HubError::NotAHub { endpoint: self.endpoint.clone(), what: what.to_owned() }
    }
}

/// The registry's digest, else the digest of the first download.
fn expected_digest(entry: &RegistryEntry, file: &RemoteFile, digests: &Digests) -> Option<String> {
    if !file.sha256.is_empty() {
        return Some(file.sha256.to_ascii_lowercase());
    }
    digests.get(&entry.repo, &file.file).map(|r| r.sha256.clone())
}
