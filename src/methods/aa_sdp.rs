//! Dual path with residual adapters: AA-CLIP and SDP in one pass of one tower.
//!
//! Neither paper has it. AA-CLIP's adapters change the original path of the tower; every block's V-V attention,
//! computed from that adapted path, feeds SDP's staged surgery path. Both are compared with AA-CLIP's anchors:
//! stage 1 of AA-CLIP's training fits those to projected V-V features, which is what the surgery path gives. Per
//! level,
//!
//! ```text
//! a = 50 (s_1 - s_0) + 1/2                  AA-CLIP's map
//! v = 100 m + 1/2                           SDP's map m at the same temperature and origin
//! fused = (1 - f) a + f v                   f = 1/2 unless told otherwise
//! ```
//!
//! and from there on everything is AA-CLIP's: smoothing on the patch grid, aligned corners, the sum over levels,
//! the image prediction and the score.

use candle_core::{Result, Tensor};

use super::{LOGIT_SCALE, sdp};
use crate::clip::LevelFeatures;

/// How much of the fused map is the surgery path's, 0..1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fusion(f64);

impl Fusion {
    /// `None` outside 0..1.
    pub fn new(share: f64) -> Option<Self> {
        (0.0..=1.0).contains(&share).then_some(Self(share))
    }

    /// The share of the surgery path.
    pub fn share(self) -> f64 {
        self.0
    }
}

impl Default for Fusion {
    fn default() -> Self {
        Self(0.5)
    }
}

/// One level's fused map on the patch grid, `[B, L]`, from AA-CLIP's `[B, L]` and the level's surgery features.
///
/// # Errors
/// Features without a surgery path, or anchors of another width.
pub fn fuse(adapted: &Tensor, level: &LevelFeatures, anchors: &Tensor, fusion: Fusion) -> Result<Tensor> {
    let similarity = sdp::similarity(std::slice::from_ref(level), anchors)?;
    let surgery = similarity.patches()?.affine(LOGIT_SCALE * fusion.share(), 0.5 * fusion.share())?;
    adapted.affine(1.0 - fusion.share(), 0.0)? + surgery
}
