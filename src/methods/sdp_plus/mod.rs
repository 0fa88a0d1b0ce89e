//! SDP+, the trained extension of SDP (CLIP-AD, section 3.3): linear layers on the original path's tokens.

#[cfg(feature = "train")]
pub mod train;

use std::sync::Arc;

use candle_core::{D, Result, Tensor};
use candle_nn::{Linear, Module};

use super::anchored::{Anchored, TwoAnchors};
use super::sdp::{self, LevelFeatures, Sdp, Wanted, similarity};
use super::trained::{Canonical, Part, index};
use super::{Components, LOGIT_SCALE, Method, Setup, Trained, TrainedFormat, first_grid, unit};
use crate::Provenance;
use crate::anchors::Domain;
use crate::clip::VisionTower;
use crate::map::{Alignment, Curve, Evidence, PatchGrid, Smoothing};

/// SDP+, as published.
pub static METHOD: Method = Method {
    name: "sdp-plus",
    about: "SDP with trained linear layers",
    paper: "arXiv 2311.00453",
    trained: Some(&FORMAT),
    score: "the mean of components.image and map_max / levels, cut to 0..1",
    load: |setup| {
        let layers = LinearLayers::of(setup)?;
        let (parts, base) = Sdp::open(setup, Some(layers.0.len()))?;
        Ok(Arc::new(Anchored::new(setup, parts, SdpPlus { base, layers })?))
    },
    #[cfg(feature = "train")]
    trainer: Some(&train::TRAINER),
    ..sdp::BASE
};

/// `fc.I.weight`, `fc.I.bias`.
pub static FORMAT: TrainedFormat = TrainedFormat {
    about: "SDP+'s linear layers",
    files: |_| None,
    canonical: |official| {
        let name = official.strip_prefix("linear_layers.").unwrap_or(official);
        let (number, kind) = name.strip_prefix("fc.")?.split_once('.')?;
        let i = index(number)?;
        matches!(kind, "weight" | "bias").then(|| Canonical::plain(format!("fc.{i}.{kind}")))
    },
    official: str::to_owned,
    parts: &[
        Part { prefix: "fc", ending: ".weight", about: "linear layers" },
        Part { prefix: "fc", ending: ".bias", about: "" },
    ],
    check: |weights| {
        if weights.count("fc", ".weight") == weights.count("fc", ".bias") {
            Ok(())
        } else {
            Err("linear layers need a weight and a bias each".to_owned())
        }
    },
    shapes: |weights| {
        let side = |axis: usize| weights.get("fc.0.weight").and_then(|v| v.shape.get(axis).copied());
        let found = [("image_width", side(1)), ("embed_dim", side(0))];
        found.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    },
    options: &[],
};

/// Linear layers, one per level, from the tower's width to the shared space.
#[derive(Debug, Clone)]
pub struct LinearLayers(pub Vec<Linear>);

impl LinearLayers {
    /// The layers of a setup's trained weights.
    ///
    /// # Errors
    /// There are no weights, or they belong to another model.
    pub fn of(setup: &Setup) -> crate::Result<Self> {
        Self::read(setup.trained()?, setup.clip.config(), &setup.device)
    }

    /// The layers of trained weights, for a model.
    ///
    /// # Errors
    /// The weights belong to another model.
    pub fn read(
        weights: &Trained,
        config: &crate::clip::ClipConfig,
        device: &candle_core::Device,
    ) -> crate::Result<Self> {
        let (width, space) = (config.vision.width, config.embed_dim);
        let layer = |i: usize| -> crate::Result<Linear> {
            let weight = weights.tensor(&format!("fc.{i}.weight"), &[space, width], device)?;
            Ok(Linear::new(weight, Some(weights.tensor(&format!("fc.{i}.bias"), &[space], device)?)))
        };
        Ok(Self((0..weights.count("fc", ".weight")).map(layer).collect::<crate::Result<_>>()?))
    }
}

/// Per level the difference of the logits of "abnormal" and "normal", `[B, L]`: 100 times the difference of the
/// similarities of `unit(fc_l(tokens))` to the anchors `[D, 2]`.
///
/// The tokens are raw, without LayerNorm, and include the reference's in-place updates if the features do.
///
/// # Errors
/// The number of levels differs from the number of layers.
pub fn logits(features: &[LevelFeatures], layers: &LinearLayers, anchors: &Tensor) -> Result<Vec<Tensor>> {
    if features.len() != layers.0.len() {
        candle_core::bail!("{} levels for {} linear layers", features.len(), layers.0.len());
    }
    let logits = |(level, layer): (&LevelFeatures, &Linear)| {
        let count = level.original.dim(1)? - 1;
        let tokens = unit(&layer.forward(&level.original.narrow(1, 1, count)?.contiguous()?)?)?;
        let similarity = tokens.broadcast_matmul(anchors)?;
        let difference = (similarity.narrow(D::Minus1, 1, 1)? - similarity.narrow(D::Minus1, 0, 1)?)?;
        difference.squeeze(D::Minus1)? * LOGIT_SCALE
    };
    features.iter().zip(&layers.0).map(logits).collect()
}

/// The probability for a value of the final map: its mean over the levels, clamped to 0..1. The map is a sum
/// of one probability per level and of SDP's map, which is small in comparison.
pub fn probability(map_value: f32, levels: usize) -> f32 {
    (map_value / levels.max(1) as f32).clamp(0.0, 1.0)
}

/// The score of a picture: the mean of the class token's probability and the probability of the map's
/// maximum.
pub fn score(text_probability: f32, map_max: f32, levels: usize) -> f32 {
    0.5 * (text_probability + probability(map_max, levels))
}

struct SdpPlus {
    base: Sdp,
    layers: LinearLayers,
}

impl TwoAnchors for SdpPlus {
    fn look(&self, tower: &VisionTower, picture: &Tensor, anchors: &Tensor) -> Result<Evidence> {
        let shape = tower.patches(picture)?;
        let features = self.base.features(tower, picture, Wanted::All)?;
        let (image, own) = Sdp::decide(&similarity(&features, anchors)?, shape)?;
        // The softmax of two logits is the logistic function of their difference, and up-sampling is linear.
        let grid = |level: &Tensor| {
            let values = first_grid(level, shape)?;
            Ok(PatchGrid { values, alignment: Alignment::Corners, curve: Curve::Sigmoid })
        };
        let trained = logits(&features, &self.layers, anchors)?;
        let mut grids = trained.iter().map(grid).collect::<Result<Vec<_>>>()?;
        grids.push(own);
        Ok(Evidence { image: Some(image), grids })
    }

    fn smoothing(&self, domain: Domain) -> Smoothing {
        self.base.smoothing(domain)
    }

    fn score(&self, image: f32, map_max: f32, _: Domain) -> f32 {
        score(image, map_max, self.base.levels.len())
    }

    fn probability(&self, map_value: f32) -> f32 {
        probability(map_value, self.base.levels.len())
    }

    fn official_scores(&self, pictures: &[Components], domain: Domain) -> Vec<f32> {
        self.base.official_scores(pictures, domain)
    }

    fn provenance(&self, into: &mut Provenance) {
        self.base.provenance(into);
    }
}
