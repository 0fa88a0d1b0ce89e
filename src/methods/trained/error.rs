//! Errors of trained weights.

use std::path::PathBuf;

use crate::weights::WeightsError;

/// The reason why trained weights cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainedError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] WeightsError),
    /// A file or folder has no adapters.
    #[error("{} contains no adapters: {found}", path.display())]
    None {
        /// The file or folder.
        path: PathBuf,
        /// Its content.
        found: String,
    },
    /// The adapters are incomplete or inconsistent.
    #[error("{}: {problem}", path.display())]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// The missing or inconsistent part.
        problem: String,
    },
    /// The adapters belong to another model.
    #[error("{}: `{tensor}` has shape {found:?}, this model needs {expected:?}: the adapters were made for {made_for}", path.display())]
    OtherModel {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The shape this model needs.
        expected: Box<[usize]>,
        /// The shape in the file.
        found: Box<[usize]>,
        /// The model of the adapters, as far as known.
        made_for: String,
        /// The width of that model's image tower, if known.
        image_width: Option<usize>,
    },
    /// There are more adapters than blocks, or fewer adapters than requested.
    #[error("{}: {what}: the adapters were made for {made_for}", path.display())]
    Depth {
        /// The file.
        path: PathBuf,
        /// The depths that do not match.
        what: String,
        /// The model of the adapters, as far as known.
        made_for: String,
    },
    /// The method needs other adapters.
    #[error("--method {method} needs {needs}, but {} contains {holds}", path.display())]
    Method {
        /// The method.
        method: &'static str,
        /// The adapters it needs.
        needs: &'static str,
        /// The file.
        path: PathBuf,
        /// The content of the file.
        holds: String,
    },
}
