//! Errors of finding and downloading models.

use std::path::PathBuf;

use super::RegistryEntry;

/// The reason why a model could not be found or downloaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// A file of the cache or the registry could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The attempted action.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A registry file is invalid.
    #[error("{}:{line}: {problem}", path.display())]
    Registry {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The problem in this line.
        problem: String,
    },
    /// The name is neither a folder nor a file nor a model of the registry.
    #[error(
        "no model `{name}`: it is neither a folder, nor a weights file, nor one of {known} (see `aaclip models list`)"
    )]
    UnknownModel {
        /// The requested name.
        name: String,
        /// The known names.
        known: String,
    },
    /// A model of the registry has not been downloaded.
    #[error(
        "model {name} is not on this machine: `aaclip models pull {name}` downloads it (about {megabytes} MB)"
    )]
    NotCached {
        /// The model.
        name: String,
        /// Approximate size of the download.
        megabytes: u64,
    },
    /// The system has no home folder.
    #[error("this system has no home folder for models: set HF_HOME")]
    NoHome,
    /// A download in offline mode.
    #[error("HF_HUB_OFFLINE is set, so {name} cannot be downloaded")]
    Offline {
        /// The model.
        name: String,
    },
    /// The hub requires a token.
    #[error("access to {url} was denied (HTTP {status}): set HF_TOKEN to a token that may read it")]
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
    #[error("{url} returned HTTP {status}: try again later")]
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
    /// The hub's certificate is not accepted.
    #[error("the certificate of {endpoint} was not accepted: {reason}")]
    Certificate {
        /// The hub.
        endpoint: String,
        /// The reason.
        reason: String,
    },
    /// The certificates that the environment names cannot be read.
    #[error("no certificates can be read from {variable}: {reason}")]
    Certificates {
        /// The environment variable.
        variable: &'static str,
        /// The reason.
        reason: String,
    },
    /// The environment does not name a proxy correctly. Its value may have a password and is not shown.
    #[error("{variable} is not the address of a proxy: expected http://HOST:PORT or socks5://HOST:PORT")]
    Proxy {
        /// The environment variable.
        variable: &'static str,
    },
    /// The environment does not name a hub correctly.
    #[error("HF_ENDPOINT is `{0}`: expected an address such as https://huggingface.co")]
    Endpoint(String),
    /// A time in the environment is invalid.
    #[error("{variable} is `{value}`: expected a number of seconds from 0.01 to 86400")]
    Seconds {
        /// The environment variable.
        variable: &'static str,
        /// Its value.
        value: String,
    },
    /// The answer is not from a hub.
    #[error("{endpoint} does not answer like a hub ({what}): it may be a login page or a proxy")]
    NotAHub {
        /// The address.
        endpoint: String,
        /// The missing part of the answer.
        what: String,
    },
    /// A transfer failed in every attempt.
    #[error(
        "the transfer of {url} failed {attempts} times (last reason: {reason}); the next pull continues from there"
    )]
    Broken {
        /// The file's address.
        url: String,
        /// The number of attempts.
        attempts: usize,
        /// The last reason.
        reason: String,
    },
    /// A file has the wrong size.
    #[error("{url} has {found} bytes, the hub announced {expected}; the file was removed")]
    Size {
        /// The file's address.
        url: String,
        /// Bytes announced.
        expected: u64,
        /// Bytes received.
        found: u64,
    },
    /// A file has the wrong content.
    #[error(
        "{} has sha256 {found}, expected {expected}{}",
        path.display(),
        if *removed { "; the file was removed" } else { ": the file has changed; pull the model again" }
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
    /// The hub sent a page or a pointer instead of weights.
    #[error("{url} returned {what} instead of weights; the file was removed")]
    NotWeights {
        /// The file's address.
        url: String,
        /// The received content.
        what: &'static str,
    },
}

impl HubError {
    /// The error about a model of the registry that has not been downloaded.
    pub fn not_cached(entry: &RegistryEntry) -> Self {
        Self::NotCached { name: entry.name.clone(), megabytes: entry.weights.size.div_ceil(1_000_000) }
    }
}
