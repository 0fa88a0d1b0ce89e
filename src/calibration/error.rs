use std::path::PathBuf;

/// Errors of threshold files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrationError {
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
        "the threshold of {} was found with other settings ({}): calibrate again with these settings",
        path.display(),
        differences.join("; ")
    )]
    OtherSettings {
        /// The file.
        path: PathBuf,
        /// The differences.
        differences: Vec<String>,
    },
}
