//! The one error type of the public API; each module contributes its own part.

use std::path::{Path, PathBuf};

use crate::{
    adapters::AdapterError,
    anchors::AnchorError,
    batch::BatchError,
    clip::{ConfigError, TokenizerError},
    dataset::DatasetError,
    evaluation::EvaluationError,
    image::ImageError,
    models::HubError,
    weights::WeightsError,
};

/// Result of a fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Anything that can go wrong, with the file, tensor or setting it is about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A picture could not be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A checkpoint could not be read or does not fit the model.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The registry, the model cache or a download.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// A model configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A tokenizer file or a text it refused.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// Trained adapters.
    #[error(transparent)]
    Adapters(Box<AdapterError>),
    /// Prompts and text anchors.
    #[error(transparent)]
    Anchors(#[from] AnchorError),
    /// A data set: not found, in no known layout, or without what was asked for.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// An evaluation's files.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    /// A run over many pictures.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// A run's results that cannot be shown.
    #[cfg(feature = "report")]
    #[error(transparent)]
    Gallery(#[from] crate::gallery::GalleryError),
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: "read", "write", "create".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A tensor operation failed.
    #[error("computation failed: {0}")]
    Tensor(#[from] candle_core::Error),
    /// A result that is not a number: it must not reach any output.
    #[error("{what} is not a finite number: the weights or the picture are damaged")]
    NotFinite {
        /// What was computed.
        what: &'static str,
    },
    /// This program failed on a picture where it should have said what is wrong.
    #[error("a fault of aaclip, not of {}: please report it with the message above and the picture", path.display())]
    Bug {
        /// The picture.
        path: PathBuf,
    },
    /// Settings that contradict each other or the model.
    #[error("{0}")]
    Setting(String),
}

impl From<AdapterError> for Error {
    fn from(error: AdapterError) -> Self {
        // By far the largest part: boxed, so that every other result stays small.
        Self::Adapters(Box::new(error))
    }
}

impl Error {
    /// An [`Error::Io`] about `path`.
    pub fn io(action: &'static str, path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { action, path: path.as_ref().to_owned(), source }
    }

    /// The kind of problem in one word, for programs that read records: that of the picture ([`ImageError::kind`]),
    /// `io`, `computation`, `bug` or `setup`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Image(error) => error.kind(),
            Self::Io { .. } => "io",
            Self::Bug { .. } => "bug",
            Self::NotFinite { .. } | Self::Tensor(_) => "computation",
            _ => "setup",
        }
    }
}
