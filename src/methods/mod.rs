//! How patch features and text anchors become a map and a score.

pub mod sdp;

/// CLIP's temperature. Both reference methods use this constant and never read `logit_scale`.
pub const LOGIT_SCALE: f64 = 100.0;
