use std::path::PathBuf;

/// Errors of an evaluation's own files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// The folder has other content.
    #[error("{} is not empty and has no evaluation in it", dir.display())]
    Foreign {
        /// The folder.
        dir: PathBuf,
    },
    /// The published figures cannot be read.
    #[error("the published figures cannot be read: {0}")]
    Published(String),
}
