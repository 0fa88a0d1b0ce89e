//! Why trained weights could not be used.

use std::path::PathBuf;

use crate::weights::WeightsError;

/// Why trained weights could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainedError {
    /// A file that cannot be read.
    #[error(transparent)]
    File(#[from] WeightsError),
    /// A file or folder without adapters.
    #[error("{} holds no adapters: {found}", path.display())]
    None {
        /// The file or folder.
        path: PathBuf,
        /// What it holds instead.
        found: String,
    },
    /// A tensor that belongs to adapters but leaves a gap, or stands for two things.
    #[error("{}: {problem}", path.display())]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// What is missing or contradicts itself.
        problem: String,
    },
    /// Adapters of another model.
    #[error("{}: `{tensor}` has shape {found:?}, this model needs {expected:?}: the adapters were made for {made_for}", path.display())]
    OtherModel {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The shape this model needs.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
        /// The model they were made for, as far as it is known.
        made_for: String,
        /// The width of its image tower, if the file tells.
        image_width: Option<usize>,
    },
    /// Adapters with more blocks than the model, or a depth limit beyond the adapters.
    #[error("{}: {what}: the adapters were made for {made_for}", path.display())]
    Depth {
        /// The file.
        path: PathBuf,
        /// Which depths do not fit.
        what: String,
        /// The model they were made for, as far as it is known.
        made_for: String,
    },
    /// A method that these adapters do not serve.
    #[error("--method {method} needs {needs}, and {} holds {holds}", path.display())]
    Method {
        /// The method.
        method: &'static str,
        /// What it needs.
        needs: &'static str,
        /// The file.
        path: PathBuf,
        /// What it holds.
        holds: String,
    },
}
