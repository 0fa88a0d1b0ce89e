//! CLIP: configuration, tokenizer and the two towers.
//!
//! Written for any open_clip ViT configuration. The towers follow open_clip's layout; the dual path of the
//! image tower is CLIP-AD's (arXiv 2311.00453).

mod block;
mod checkpoint;
mod compute;
mod config;
mod config_fields;
mod config_file;
pub(crate) mod cpu;
mod differentiable;
mod fingerprint;
mod graph_block;
mod kernel_block;
mod layers;
mod parameters;
pub mod positions;
mod text;
pub mod tokenizer;
mod vision;

pub use crate::kernels::{Attention, Projected};
pub use block::{AttentionRequest, Block};
pub use checkpoint::Checkpoint;
pub use compute::{Compute, Precision, PrecisionChoice};
pub use config::{Activation, ClipConfig, Normalisation, TextConfig, VisionConfig};
pub use config_fields::ConfigError;
pub use parameters::parameters;
pub use text::{TextAdapter, TextTower};
pub use tokenizer::{SpecialTokens, Tokenizer, TokenizerError, Tokens};
pub use vision::{
    AttendedAxis, BlockAdapter, FeatureRequest, LevelFeatures, TapFidelity, VisionTower, Wanted,
};
