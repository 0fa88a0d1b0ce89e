use std::path::PathBuf;

/// Errors of an evaluation's own files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// The folder has other content.
    #[error("{} is not empty and has no evaluation in it: name another folder with --out", dir.display())]
    Foreign {
        /// The folder.
        dir: PathBuf,
    },
    /// A threshold file is invalid.
    #[error("{} is not a threshold file of `aaclip calibrate` ({reason})", path.display())]
    Threshold {
        /// The file.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
    /// A threshold belongs to other settings.
    #[error(
        "the threshold of {} was found with other settings ({}): calibrate again with these",
        path.display(),
        differences.join("; ")
    )]
    OtherSettings {
        /// The file.
        path: PathBuf,
        /// The differences.
        differences: Vec<String>,
    },
    /// The published figures cannot be read.
    #[error("the published figures cannot be read: {0}")]
    Published(String),
}
