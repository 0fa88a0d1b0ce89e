//! Dual path with residual adapters: AA-CLIP and SDP in one pass of one tower.
//!
//! This method is in neither paper. AA-CLIP's adapters change the original path of the tower; every block's
//! V-V attention, computed from the adapted path, feeds SDP's staged surgery path. Both paths are compared
//! with AA-CLIP's anchors: stage 1 of AA-CLIP's training fits them to projected V-V features, which the
//! surgery path gives. Per level,
//!
//! ```text
//! a = 50 (s_1 - s_0) + 1/2                  AA-CLIP's map
//! v = 100 m + 1/2                           SDP's map m at the same temperature and origin
//! fused = (1 - f) a + f v                   f = 1/2 by default
//! ```
//!
//! All further steps are AA-CLIP's: smoothing on the patch grid, aligned corners, the sum over levels, the
//! image prediction and the score.

use std::sync::Arc;

use candle_core::{Result, Tensor};

use super::aa_clip::{self, AaClip};
use super::anchored::{Anchored, TwoAnchors};
use super::options::{self, MethodOption, joined, share};
use super::sdp::{self, DualPath, Fidelity, LevelFeatures, Wanted};
use super::{Components, LOGIT_SCALE, Method};
use crate::Provenance;
use crate::anchors::{Domain, SentenceEncoder};
use crate::clip::VisionTower;
use crate::map::{Evidence, Smoothing};

/// AA-CLIP and SDP in one pass.
pub static METHOD: Method = Method {
    name: "aa-sdp",
    about: "AA-CLIP's adapted path and anchors with SDP's staged V-V path, in one pass",
    paper: "neither paper's: AA-CLIP (arXiv 2503.06661) and CLIP-AD (arXiv 2311.00453) together",
    options: &joined::<16>(aa_clip::OPTIONS, &[&FUSION, &options::FIDELITY]),
    load: |setup| {
        let (parts, base) = AaClip::open(setup)?;
        let asked: Option<f64> = setup.options.get(&FUSION)?;
        let fusion = asked.and_then(Fusion::new).unwrap_or_default();
        let method = AaSdp { base, fusion, fidelity: sdp::fidelity(&setup.options) };
        Ok(Arc::new(Anchored::new(setup, parts, method)?))
    },
    #[cfg(feature = "train")]
    trainer: None,
    ..aa_clip::BASE
};

/// Share of the surgery path in the map.
pub static FUSION: MethodOption = MethodOption {
    name: "fusion",
    value: "X",
    help: "Share of the surgery path in aa-sdp's map, 0..1 [default: 0.5]",
    heading: aa_clip::HEADING,
    check: share,
    ..MethodOption::TEXT
};

/// Share of the surgery path in the fused map, 0..1.
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

/// One level's fused map on the patch grid, `[B, L]`, from AA-CLIP's `[B, L]` and the level's surgery
/// features.
///
/// # Errors
/// The features have no surgery path, or the anchors have another width.
pub fn fuse(adapted: &Tensor, level: &LevelFeatures, anchors: &Tensor, fusion: Fusion) -> Result<Tensor> {
    let similarity = sdp::similarity(std::slice::from_ref(level), anchors)?;
    let surgery = similarity.patches()?.affine(LOGIT_SCALE * fusion.share(), 0.5 * fusion.share())?;
    adapted.affine(1.0 - fusion.share(), 0.0)? + surgery
}

struct AaSdp {
    base: AaClip,
    fusion: Fusion,
    fidelity: Fidelity,
}

impl TwoAnchors for AaSdp {
    fn look(&self, tower: &VisionTower, picture: &Tensor, anchors: &Tensor) -> Result<Evidence> {
        let adapt = |block, tokens| self.base.image.after_block(block, tokens);
        let path = DualPath {
            levels: &self.base.levels,
            surgery: true,
            fidelity: self.fidelity,
            original: Wanted::All,
            after_block: &adapt,
        };
        let features = path.walk(tower, picture)?;
        let tokens: Vec<Tensor> = features.iter().map(|level| level.tokens.clone()).collect();
        let shape = tower.patches(picture)?;
        let fused = |i: usize, map| fuse(&map, &features[i], anchors, self.fusion);
        self.base.decide(tower, &tokens, shape, anchors, fused)
    }

    fn encoder(&self) -> &dyn SentenceEncoder {
        self.base.encoder()
    }

    fn smoothing(&self, domain: Domain) -> Smoothing {
        self.base.smoothing(domain)
    }

    fn score(&self, image: f32, map_max: f32, domain: Domain) -> f32 {
        self.base.score(image, map_max, domain)
    }

    fn probability(&self, map_value: f32) -> f32 {
        self.base.probability(map_value)
    }

    fn official_scores(&self, pictures: &[Components], domain: Domain) -> Vec<f32> {
        self.base.official_scores(pictures, domain)
    }

    fn provenance(&self, into: &mut Provenance) {
        self.base.provenance(into);
        into.set("fusion", self.fusion.share());
        into.set("fidelity", self.fidelity.name());
    }
}
