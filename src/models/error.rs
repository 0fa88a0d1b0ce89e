//! Why a model could not be found or downloaded.

use std::path::PathBuf;

use super::RegistryEntry;

/// Why a model could not be found or downloaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// A file of the cache or the registry could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A registry file that cannot be used.
    #[error("{}:{line}: {problem}", path.display())]
    Registry {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong there.
        problem: String,
    },
    /// Neither a folder nor a file nor a name of a model.
    #[error(
        "no model `{name}`: it is neither a folder, nor a weights file, nor one of {known} (see `aaclip models list`)"
    )]
    UnknownModel {
        /// What was asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A model of the registry that has not been downloaded.
    #[error(
        "model {name} is not on this machine: `aaclip models pull {name}` downloads it (about {megabytes} MB)"
    )]
    NotCached {
        /// The model.
        name: String,
        /// Approximate size of the download.
        megabytes: u64,
    },
    /// The system names no home folder.
    #[error("no home folder to keep models in: set HF_HOME")]
    NoHome,
    /// A download in offline mode.
    #[error("HF_HUB_OFFLINE is set, so {name} cannot be downloaded")]
    Offline {
        /// The model.
        name: String,
    },
    /// The hub wants a token.
    #[error("{url} may not be read (HTTP {status}): set HF_TOKEN to a token that may read it")]
    Denied {
        /// The file's address.
        url: String,
        /// The hub's answer.
        status: u16,
    },
    /// The hub has no such file.
    #[error("{url} does not exist (HTTP 404): the repository, its revision or the file is gone")]
    NotFound {
        /// The file's address.
        url: String,
    },
    /// The hub answered with another error.
    #[error("{url} gave HTTP {status}: try again later")]
    Status {
        /// The file's address.
        url: String,
        /// The hub's answer.
        status: u16,
    },
    /// No connection.
    #[error("cannot reach {endpoint}: {reason}")]
    Unreachable {
        /// The hub.
        endpoint: String,
        /// The system's reason.
        reason: String,
    },
    /// Something answered, but not a hub.
    #[error("{endpoint} does not answer like a hub ({what}): is it a login page or a proxy?")]
    NotAHub {
        /// The address.
        endpoint: String,
        /// What is missing.
        what: String,
    },
    /// A transfer that broke more often than it was tried again.
    #[error(
        "the transfer of {url} broke {attempts} times, last because of: {reason}; the next pull goes on from there"
    )]
    Broken {
        /// The file's address.
        url: String,
        /// How often it was tried.
        attempts: usize,
        /// The last reason.
        reason: String,
    },
    /// A file of the wrong size.
    #[error("{url} has {found} bytes, the hub promised {expected}; it was removed")]
    Size {
        /// The file's address.
        url: String,
        /// Bytes promised.
        expected: u64,
        /// Bytes received.
        found: u64,
    },
    /// A file with the wrong content.
    #[error(
        "{} has sha256 {found}, expected {expected}{}",
        path.display(),
        if *removed { "; it was removed" } else { ": it has changed; pull the model again" }
    )]
    Digest {
        /// The file.
        path: PathBuf,
        /// The digest it must have.
        expected: String,
        /// The digest it has.
        found: String,
        /// Whether it was removed.
        removed: bool,
    },
    /// A page or a pointer in place of weights.
    #[error("{url} gave {what} in place of weights; it was removed")]
    NotWeights {
        /// The file's address.
        url: String,
        /// What it is.
        what: &'static str,
    },
}

impl HubError {
    /// The error about a model of the registry that has not been downloaded.
    pub fn not_cached(entry: &RegistryEntry) -> Self {
        Self::NotCached { name: entry.name.clone(), megabytes: entry.weights.size.div_ceil(1_000_000) }
    }
}
