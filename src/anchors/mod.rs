//! Text anchors: what "normal" and "damaged" look like to the text tower.

/// Why prompts or anchors could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnchorError {}
