//! AA-CLIP (arXiv 2503.06661): residual adapters in both towers make the anchors and the patch features
//! sensitive to anomalies.
//!
//! The image adapters change the tokens after the first blocks; each level's patches are projected and
//! compared with two anchors from the adapted text tower. [`ImageAdapter`] and [`TextAdapter`] are the two
//! forward passes, [`decision`] computes maps and scores, `format` reads the official checkpoints.

pub mod decision;
mod files;
mod format;
mod image;
mod projection;
mod text;
#[cfg(feature = "train")]
pub mod train;

use std::sync::Arc;

use candle_core::Tensor;

use crate::anchors::{Domain, PlainText, SentenceEncoder};
use crate::clip::{Activation, SpecialTokens, VisionTower};
use crate::image::Chain;
use crate::map::{Alignment, Curve, Evidence, PatchGrid, Sigma, Smoothing};
use crate::methods::anchored::{Anchored, Parts, TwoAnchors};
use crate::methods::options::{self, MethodOption, boolean, joined, share, whole_number};
use crate::methods::{Components, Method, References, Scope, Setup, first_grid};
use crate::{Provenance, Result};

pub use format::{Adapters, FORMAT};
pub use image::ImageAdapter;
pub use text::TextAdapter;

/// AA-CLIP, as published.
pub static METHOD: Method = BASE;

pub(super) const BASE: Method = Method {
    name: "aa-clip",
    about: "AA-CLIP: residual adapters in both towers",
    paper: "arXiv 2503.06661",
    prompts: Some("aa-clip"),
    describes_classes: true,
    options: OPTIONS,
    trained: Some(&FORMAT),
    references: References::Never,
    scope: Scope::Picture,
    image_value: "the image prediction, (cosine to the abnormal anchor + 1) / 2",
    score: "the mean of components.image and sigmoid(2 * (map_max / levels - 1/2)); with `domain` medical the latter \
            alone",
    load: |setup| {
        let (parts, method) = AaClip::open(setup)?;
        Ok(Arc::new(Anchored::new(setup, parts, method)?))
    },
    #[cfg(feature = "train")]
    trainer: Some(&train::TRAINER),
};

/// The options of this method and of methods that extend it.
pub(super) const OPTIONS: &[&MethodOption] = &joined::<14>(
    options::OF_ANCHORED,
    &[
        &options::DOMAIN,
        &TEXT_ADAPT_UNTIL,
        &IMAGE_ADAPT_UNTIL,
        &TEXT_ADAPT_WEIGHT,
        &IMAGE_ADAPT_WEIGHT,
        &RELU,
    ],
);

pub(super) const HEADING: &str = "AA-CLIP";

/// Text blocks whose output is adapted.
pub static TEXT_ADAPT_UNTIL: MethodOption = MethodOption {
    name: "text-adapt-until",
    value: "N",
    help: "Text blocks whose output is adapted [default: as many as there are adapters]",
    heading: HEADING,
    check: whole_number,
    ..MethodOption::TEXT
};

/// Image blocks whose output is adapted.
pub static IMAGE_ADAPT_UNTIL: MethodOption = MethodOption {
    name: "image-adapt-until",
    value: "N",
    help: "Image blocks whose output is adapted [default: as many as there are adapters]",
    heading: HEADING,
    check: whole_number,
    ..MethodOption::TEXT
};

/// Weight of the text adapters.
pub static TEXT_ADAPT_WEIGHT: MethodOption = MethodOption {
    name: "text-adapt-weight",
    value: "X",
    help: "Weight of the text adapters, 0..1 [default: the file's, else 0.1]",
    heading: HEADING,
    check: share,
    ..MethodOption::TEXT
};

/// Weight of the image adapters.
pub static IMAGE_ADAPT_WEIGHT: MethodOption = MethodOption {
    name: "image-adapt-weight",
    value: "X",
    help: "Weight of the image adapters, 0..1 [default: the file's, else 0.1]",
    heading: HEADING,
    check: share,
    ..MethodOption::TEXT
};

/// Whether a leaky ReLU follows the image projections.
pub static RELU: MethodOption = MethodOption {
    name: "relu",
    value: "BOOL",
    help: "Whether a leaky ReLU follows the image projections [default: as the tensor names in the file say]",
    heading: HEADING,
    bare: Some("true"),
    check: boolean,
    ..MethodOption::TEXT
};

/// Weight of an adapter's output in a token, 0..1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share(f64);

impl Share {
    /// AA-CLIP's weight of both towers' adapters.
    pub const AA_CLIP: Self = Self(0.1);

    /// `None` outside 0..1.
    pub fn new(share: f64) -> Option<Self> {
        (0.0..=1.0).contains(&share).then_some(Self(share))
    }

    /// The share as a number.
    pub fn value(self) -> f64 {
        self.0
    }
}

/// Side of the model's input square in pixels, and the towers' activation.
fn input(setup: &Setup) -> Result<(usize, Activation)> {
    let vision = &setup.clip.config().vision;
    let native = match (vision.image_size, vision.patch_size) {
        (336, 14) => 518,
        (size, _) => size,
    };
    // The official code loads OpenAI's weights, which were trained with QuickGELU, into a model with the
    // exact GELU.
    Ok((setup.image_size(native)?, setup.activation(Some(Activation::Gelu))))
}

/// AA-CLIP with its weights.
pub(super) struct AaClip {
    /// The adapters of the image tower.
    pub image: ImageAdapter,
    text: Option<TextAdapter>,
    smoothing: Option<Sigma>,
    /// The compared levels.
    pub levels: Vec<usize>,
    /// The resolved options, for results.
    settings: String,
}

impl AaClip {
    /// Reads the adapters of a setup; `setup.method` may be a method that extends AA-CLIP.
    pub fn open(setup: &Setup) -> Result<(Parts, Self)> {
        let weights = setup.trained()?;
        let config = setup.clip.config();
        let adapters = Adapters { weights, config, device: &setup.device, options: &setup.options };
        let (image, text) = (adapters.image(setup.method)?, adapters.text()?);
        let (image_size, activation) = input(setup)?;
        let parts = Parts {
            levels: setup.levels(Some(image.levels()))?,
            image_size,
            activation,
            special: SpecialTokens::AaClip,
            chain: Chain::RgbThenResize,
        };
        let settings =
            format!("text {}, image {image}", text.as_ref().map_or("none".into(), |t| t.to_string()));
        let method = Self {
            image: image.packed()?,
            text,
            smoothing: options::smoothing(&setup.options)?,
            levels: parts.levels.clone(),
            settings,
        };
        Ok((parts, method))
    }

    /// The evidence from the tokens of each level, `[1, 1 + L, W]`, of a picture with `shape` rows and columns of
    /// patches. `change` may modify a level's map, `[1, L]`.
    pub fn decide(
        &self,
        tower: &VisionTower,
        tokens: &[Tensor],
        shape: (usize, usize),
        anchors: &Tensor,
        change: impl Fn(usize, Tensor) -> candle_core::Result<Tensor>,
    ) -> candle_core::Result<Evidence> {
        let projected = decision::project(tower, tokens, &self.image)?;
        let grid = |(i, patches): (usize, &Tensor)| {
            let map = change(i, decision::level_map(patches, anchors)?)?;
            let values = first_grid(&map, shape)?;
            Ok(PatchGrid { values, alignment: Alignment::Corners, curve: Curve::Linear })
        };
        let grids = projected.patches.iter().enumerate().map(grid).collect::<candle_core::Result<_>>()?;
        let image = decision::image_prediction(&projected.image, anchors)?.get(0)?.to_scalar()?;
        Ok(Evidence { image: Some(image), grids })
    }
}

impl TwoAnchors for AaClip {
    fn encoder(&self) -> &dyn SentenceEncoder {
        self.text.as_ref().map_or(&PlainText, |text| text as &dyn SentenceEncoder)
    }

    fn look(&self, tower: &VisionTower, picture: &Tensor, anchors: &Tensor) -> candle_core::Result<Evidence> {
        let tokens = self.image.tokens(tower, picture, &self.levels)?;
        self.decide(tower, &tokens, tower.patches(picture)?, anchors, |_, map| Ok(map))
    }

    fn smoothing(&self, domain: Domain) -> Smoothing {
        decision::smoothing(domain, self.smoothing)
    }

    fn score(&self, image: f32, map_max: f32, domain: Domain) -> f32 {
        decision::score(image, map_max, self.levels.len(), domain)
    }

    fn probability(&self, map_value: f32) -> f32 {
        decision::probability(map_value, self.levels.len())
    }

    fn official_scores(&self, pictures: &[Components], domain: Domain) -> Vec<f32> {
        decision::official_scores(pictures, domain)
    }

    fn provenance(&self, into: &mut Provenance) {
        into.set("adaptation", &self.settings);
    }
}
