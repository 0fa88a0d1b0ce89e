//! Checkpoints on disk, in every format a lab already has.
//!
//! [`open`] knows a format by its content. Nothing a checkpoint says is ever executed: pickles are read by a
//! machine that builds plain values and knows no other function.

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
