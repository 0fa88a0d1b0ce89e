//! Checkpoints on disk, in every format a lab already has, and where to get them.

mod model_dir;
mod names;
mod stub;

pub use model_dir::weights_file;
pub use names::{ClipTensors, Parameter};
pub use stub::*;

/// Why a model could not be found or downloaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {}
