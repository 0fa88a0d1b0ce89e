//! CLIP: configuration, tokenizer and the two towers.
//!
//! Supports every open_clip ViT configuration, in open_clip's layout. The towers offer steps (embed, blocks
//! with attention and MLP, finish); each method's folder under `methods` combines these steps.

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
mod inferred;
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
pub use text::TextTower;
pub use tokenizer::{SpecialTokens, Tokenizer, TokenizerError, Tokens};
pub use vision::VisionTower;

/// CLIP's temperature. The methods of CLIP-AD and AA-CLIP use this constant and never read `logit_scale`.
pub const LOGIT_SCALE: f64 = 100.0;

/// Normalises rows to unit length along the last axis.
pub(crate) fn unit(x: &candle_core::Tensor) -> candle_core::Result<candle_core::Tensor> {
    x.broadcast_div(&x.sqr()?.sum_keepdim(candle_core::D::Minus1)?.sqrt()?)
}
