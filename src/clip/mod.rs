//! CLIP: configuration, tokenizer and the two towers.

/// Why a model configuration could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {}
