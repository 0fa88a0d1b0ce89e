//! The error type of the public API; each module adds its own part.

use std::path::{Path, PathBuf};

use crate::{
    anchors::AnchorError,
    batch::BatchError,
    calibration::CalibrationError,
    clip::{ConfigError, TokenizerError},
    dataset::DatasetError,
    evaluation::EvaluationError,
    image::ImageError,
    journal::JournalError,
    methods::TrainedError,
    models::HubError,
    weights::WeightsError,
};

/// Result of a fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error, with the file, tensor or setting concerned.
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
    /// A model configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A tokenizer file is invalid, or a tokenizer refused a text.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The trained weights of a method cannot be used.
    #[error(transparent)]
    Trained(Box<TrainedError>),
    /// Prompts or text anchors cannot be used.
    #[error(transparent)]
    Anchors(#[from] AnchorError),
    /// A data set does not exist, has no known layout, or lacks a requested part.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A threshold file is invalid or belongs to other settings.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// The files of an evaluation cannot be used.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    /// The results of an earlier run cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A run over many pictures cannot start.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The results of a run cannot be shown.
    #[cfg(feature = "report")]
    #[error(transparent)]
    Gallery(#[from] crate::gallery::GalleryError),
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The attempted action: "read", "write", "create".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A tensor operation failed.
    #[error("computation failed: {0}")]
    Tensor(#[from] candle_core::Error),
    /// A result is not finite; it must not reach the output.
    #[error("{what} is not a finite number: the weights or the picture are damaged")]
    NotFinite {
        /// The computed value.
        what: &'static str,
    },
    /// This program failed on a picture without a proper error.
    #[error("a bug in aaclip, not a problem of {}: please report it with the message above and the picture", path.display())]
    Bug {
        /// The picture.
        path: PathBuf,
    },
    /// Settings contradict each other or the model.
    #[error("{0}")]
    Setting(String),
}

impl From<TrainedError> for Error {
    fn from(error: TrainedError) -> Self {
        // Much larger than the others: boxed, so that results stay small.
        Self::Trained(Box::new(error))
    }
}

impl Error {
    /// An [`Error::Io`] about `path`.
    pub fn io(action: &'static str, path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { action, path: path.as_ref().to_owned(), source }
    }

    /// The kind of problem in one word, for programs that read records: the kind of the picture's problem
    /// ([`ImageError::kind`]), `io`, `computation`, `bug` or `setup`.
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
