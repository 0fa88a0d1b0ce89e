use std::path::PathBuf;

/// What can go wrong with an evaluation's own files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// The folder is in use for something else.
    #[error("{} is not empty and has no evaluation in it: name another folder with --out", dir.display())]
    Foreign {
        /// The folder.
        dir: PathBuf,
    },
    /// A threshold file that cannot be used.
    #[error("{} is not a threshold file of `aaclip calibrate` ({reason})", path.display())]
    Threshold {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A threshold that was found with other settings.
    #[error(
        "the threshold of {} was found with other settings ({}): calibrate again with these",
        path.display(),
        differences.join("; ")
    )]
    OtherSettings {
        /// The file.
        path: PathBuf,
        /// What differs.
        differences: Vec<String>,
    },
    /// Published figures that cannot be read.
    #[error("the published figures cannot be read: {0}")]
    Published(String),
}
