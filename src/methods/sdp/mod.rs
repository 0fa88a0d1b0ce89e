//! SDP, the training-free detector of CLIP-AD (arXiv 2311.00453, section 3): patch features of the staged dual path
//! compared with a normal and an abnormal text anchor.

mod dual_path;
mod similarity;

use std::sync::Arc;

use candle_core::Tensor;

use crate::anchors::Domain;
use crate::clip::{Activation, SpecialTokens, VisionTower};
use crate::image::Chain;
use crate::map::{Alignment, Curve, Evidence, PatchGrid, Sigma, Smoothing};
use crate::methods::anchored::{Anchored, Parts, TwoAnchors};
use crate::methods::options::{self, MethodOption, OptionValues, joined};
use crate::methods::{Components, Method, References, Scope, Setup, first_grid, stretched};
use crate::{Provenance, Result};

pub use dual_path::{DualPath, Fidelity, LevelFeatures, Wanted, dual_path};
pub use similarity::{Similarity, probability, score, similarity};

/// SDP, as published.
pub static METHOD: Method = BASE;

pub(super) const BASE: Method = Method {
    name: "sdp",
    about: "CLIP-AD's staged dual path, without training",
    paper: "arXiv 2311.00453",
    prompts: Some("clip-ad"),
    describes_classes: false,
    options: OPTIONS,
    trained: None,
    references: References::Never,
    scope: Scope::Picture,
    image_value: "the probability of \"abnormal\" for the class token (`pr_sp0` of the official code)",
    score: "the mean of components.image (the class token against both text anchors at CLIP's temperature, 100) and \
            sigmoid(2 * 100 * map_max / levels)",
    load: |setup| {
        let (parts, method) = Sdp::open(setup, None)?;
        Ok(Arc::new(Anchored::new(setup, parts, method)?))
    },
    #[cfg(feature = "train")]
    trainer: None,
};

/// The options of this method and SDP+.
pub(super) const OPTIONS: &[&MethodOption] = &joined::<9>(options::OF_ANCHORED, &[&options::FIDELITY]);

/// Whether the features are those of the reference code or of the paper.
pub(super) fn fidelity(options: &OptionValues) -> Fidelity {
    if options.text(&options::FIDELITY) == Some("clean") { Fidelity::Clean } else { Fidelity::Reference }
}

/// Side of the model's input square in pixels, and the towers' activation.
pub(super) fn input(setup: &Setup) -> Result<(usize, Activation)> {
    Ok((setup.image_size(setup.clip.config().vision.image_size)?, setup.activation(None)))
}

/// SDP with its settings.
pub(super) struct Sdp {
    pub levels: Vec<usize>,
    pub fidelity: Fidelity,
    smoothing: Sigma,
}

impl Sdp {
    /// SDP from a setup; `trained`: the number of levels in the training of additional weights.
    pub fn open(setup: &Setup, trained: Option<usize>) -> Result<(Parts, Self)> {
        /// The default smoothing of the official test script.
        const SMOOTHING: Sigma = Sigma::new(8.0).unwrap();
        let (image_size, activation) = input(setup)?;
        let parts = Parts {
            levels: setup.levels(trained)?,
            image_size,
            activation,
            special: SpecialTokens::ClipAd,
            chain: Chain::ResizeThenRgb,
        };
        let method = Self {
            levels: parts.levels.clone(),
            fidelity: fidelity(&setup.options),
            smoothing: options::smoothing(&setup.options)?.unwrap_or(SMOOTHING),
        };
        Ok((parts, method))
    }

    /// The features of both paths; `original` is the needed part of the last level's original path.
    pub fn features(
        &self,
        tower: &VisionTower,
        picture: &Tensor,
        original: Wanted,
    ) -> candle_core::Result<Vec<LevelFeatures>> {
        let path = DualPath { fidelity: self.fidelity, original, ..DualPath::new(&self.levels) };
        path.walk(tower, picture)
    }

    /// The picture's value and the map of SDP alone, of `grid` rows and columns.
    pub fn decide(found: &Similarity, grid: (usize, usize)) -> candle_core::Result<(f32, PatchGrid)> {
        let values = first_grid(&found.patches()?, grid)?;
        let grid = PatchGrid { values, alignment: Alignment::HalfPixel, curve: Curve::Linear };
        Ok((found.text_probability.get(0)?.to_scalar()?, grid))
    }
}

impl TwoAnchors for Sdp {
    fn look(&self, tower: &VisionTower, picture: &Tensor, anchors: &Tensor) -> candle_core::Result<Evidence> {
        let features = self.features(tower, picture, Wanted::Class)?;
        let (image, grid) = Self::decide(&similarity(&features, anchors)?, tower.patches(picture)?)?;
        Ok(Evidence { image: Some(image), grids: vec![grid] })
    }

    fn smoothing(&self, _: Domain) -> Smoothing {
        Smoothing::Pixels(self.smoothing)
    }

    fn score(&self, image: f32, map_max: f32, _: Domain) -> f32 {
        score(image, map_max, self.levels.len())
    }

    fn probability(&self, map_value: f32) -> f32 {
        probability(map_value, self.levels.len())
    }

    fn official_scores(&self, pictures: &[Components], _: Domain) -> Vec<f32> {
        official_scores(pictures)
    }

    fn provenance(&self, into: &mut Provenance) {
        into.set("fidelity", self.fidelity.name());
    }
}

/// The scores of the official evaluations (`test.py`, `test_ft.py`), in their own arithmetic (f32): text
/// probability plus the map's maximum, each stretched to 0..1 over the pictures of a class. A component that
/// is equal in all pictures gives NaN, as in the official code.
pub fn official_scores(pictures: &[Components]) -> Vec<f32> {
    let image: Vec<f32> = pictures.iter().map(|c| c.image.unwrap_or(f32::NAN)).collect();
    let map: Vec<f32> = pictures.iter().map(|c| c.map_max).collect();
    stretched(&image).iter().zip(stretched(&map)).map(|(i, m)| i + m).collect()
}
