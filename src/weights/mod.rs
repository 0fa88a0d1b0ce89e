//! Checkpoints on disk, in all common formats.
//!
//! [`open`] detects the format from the content. No code in a checkpoint is ever executed: pickles are read by a
//! machine that can only build plain values.

pub mod builtin;
mod error;
mod int8;
mod legacy;
mod mapped;
mod mapping;
mod model_dir;
mod names;
mod pickle;
mod safetensors;
mod sharded;
mod store;
mod torch;

pub use error::WeightsError;
pub use model_dir::weights_file;
pub use names::{ClipTensors, Parameter};
pub use store::{StoredType, TensorInfo, TensorStore, open};
