//! WinCLIP and, with pictures of good parts, WinCLIP+ (arXiv 2303.14814), without training.
//!
//! The authors published no code. Results match anomalib's implementation with attention limited to the tokens of a
//! window. They also match Accurate-WinCLIP, the usual source of published figures:
//!
//! * Text anchors are plain means of the sentences' embeddings, not normalised first. A vector's probability of
//!   "abnormal" is the softmax of its two cosines over a temperature of 0.07.
//! * The whole picture and every window of 2 x 2 and of 3 x 3 patches have such a probability. The embedding of a
//!   window is computed in a pass of the class token and the patches of the window. The value of a patch at a scale is
//!   the harmonic mean over the windows that contain it; the map is the harmonic mean over the scales and the picture.
//! * With references, each patch and each window also has a distance: half of the cosine distance to the nearest
//!   reference patch or window of its scale. The map and the mean of the distances of patch and scales are averaged.
//!
//! Scales count patches, so their share of the picture depends on the grid: 13 % and 20 % of its side on the 15 x 15
//! patches of ViT-B-16-plus-240, the only model with published figures.

mod references;
mod windows;

use std::sync::Arc;

use candle_core::Tensor;
use ndarray::Array2;

use super::caution::ClassFree;
use super::options::{self, MethodOption};
use super::{ClassModel, ImageTower, Method, Model, References, Scope, Setup, Trust, unit};
use crate::anchors::{AnchorRequest, Anchors, ClassName, PlainText, PromptSet, Representative, text_anchors};
use crate::clip::{Activation, SpecialTokens, VisionTower};
use crate::image::{Chain, Fit, Preprocess};
use crate::map::{Alignment, Curve, Evidence, PatchGrid, Smoothing, sigmoid};
use crate::{Provenance, Result};

pub use references::{Memory, nearest};
pub use windows::Windows;
use windows::harmonic_mean;

/// WinCLIP, as published.
pub static METHOD: Method = Method {
    name: "winclip",
    about: "WinCLIP: windows of patches against text and, optionally, pictures of good parts",
    paper: "arXiv 2303.14814",
    prompts: Some("winclip"),
    describes_classes: false,
    options: &[&options::PROMPTS, &SCALES],
    trained: None,
    references: References::Optional,
    scope: Scope::Picture,
    image_value: "the official image score: the probability of \"abnormal\" for the whole picture; with \
                  references, the mean of it and the largest distance of a patch to them",
    score: "components.image",
    load: |setup| Ok(Arc::new(WinClip::new(setup)?)),
    #[cfg(feature = "train")]
    trainer: None,
};

/// Sides of the windows.
pub static SCALES: MethodOption = MethodOption {
    name: "scales",
    value: "2,3",
    help: "Sides of winclip's windows, in patches [default: 2,3]",
    list: true,
    check: |text| match text.parse::<usize>() {
        Ok(1..) => Ok(()),
        _ => Err("expected a number of patches, at least 1".to_owned()),
    },
    ..MethodOption::TEXT
};

/// The divisor of a cosine before the softmax.
const TEMPERATURE: f64 = 0.07;

/// The anchors' representative vector: only the direction of the mean matters.
pub const ANCHORS: Representative = Representative::RawMean;

/// The features of a picture.
#[derive(Debug, Clone)]
pub struct Features {
    /// Rows and columns of patches.
    pub grid: (usize, usize),
    /// `[1, D]`: the whole picture.
    pub image: Tensor,
    /// `[L, W]`: its patches after `ln_post`.
    pub patches: Tensor,
    /// `[windows, D]` for each scale.
    pub windows: Vec<Tensor>,
}

impl Features {
    /// The features of a picture `[1, 3, H, W]`, not normalised.
    ///
    /// # Errors
    /// The picture is smaller than a patch, or the windows are for another grid.
    pub fn of(tower: &VisionTower, picture: &Tensor, windows: &[Windows]) -> candle_core::Result<Self> {
        let tokens = tower.embed(picture)?;
        let mut x = tokens.clone();
        for block in tower.blocks() {
            x = block.forward(&x, false)?;
        }
        let (x, tokens) = (x.get(0)?, tokens.get(0)?);
        Ok(Self {
            grid: tower.patches(picture)?,
            image: tower.project(&x.narrow(0, 0, 1)?)?,
            patches: tower.ln_post(&x.narrow(0, 1, x.dim(0)? - 1)?)?,
            windows: windows.iter().map(|w| w.embed(tower, &tokens)).collect::<candle_core::Result<_>>()?,
        })
    }
}

/// The probability of "abnormal", 0..1, for each row of `embeddings` `[N, D]`. `anchors` is `[D, 2]`: the normal and the
/// abnormal anchor, of unit length.
///
/// # Errors
/// The anchors have another width.
pub fn probabilities(embeddings: &Tensor, anchors: &Tensor) -> candle_core::Result<Vec<f32>> {
    let cosines = unit(embeddings)?.matmul(anchors)?;
    let difference =
        (cosines.narrow(1, 1, 1)? - cosines.narrow(1, 0, 1)?)?.flatten_all()?.to_vec1::<f32>()?;
    Ok(difference.into_iter().map(|d| sigmoid(f64::from(d) / TEMPERATURE) as f32).collect())
}

/// The method with its weights.
struct WinClip {
    setup: Setup,
    activation: Activation,
    preprocess: Preprocess,
    prompts: PromptSet,
    class_free: ClassFree,
    extractor: Arc<Extractor>,
}

/// The image tower, shared by all classes.
struct Extractor {
    tower: ImageTower,
    scales: Vec<usize>,
}

impl Extractor {
    fn windows(&self, grid: (usize, usize)) -> Result<Vec<Windows>> {
        self.scales.iter().map(|&scale| Windows::new(scale, grid)).collect()
    }

    fn features(&self, picture: &Tensor) -> Result<(Features, Vec<Windows>)> {
        let tower = self.tower.get()?;
        let windows = self.windows(tower.patches(picture)?)?;
        Ok((Features::of(tower, picture, &windows)?, windows))
    }
}

impl WinClip {
    fn new(setup: &Setup) -> Result<Self> {
        let size = setup.image_size(setup.clip.config().vision.image_size)?;
        let activation = setup.activation(None);
        let tower = ImageTower::new(setup, size, activation);
        let mut scales = setup.options.list(&SCALES)?.unwrap_or_else(|| vec![2, 3]);
        scales.sort_unstable();
        scales.dedup();
        let extractor = Extractor { tower, scales };
        let grid = extractor.tower.grid();
        extractor.windows((grid, grid))?;
        Ok(Self {
            activation,
            preprocess: setup.preprocess(size, Chain::ResizeThenRgb, Fit::Squash),
            prompts: setup.prompts()?,
            class_free: ClassFree::default(),
            extractor: Arc::new(extractor),
            setup: setup.clone(),
        })
    }

    fn anchors(&self, class: &str) -> Result<Anchors> {
        let Setup { clip, cache, device, progress, .. } = &self.setup;
        let request = AnchorRequest {
            prompts: &self.prompts,
            class,
            representative: ANCHORS,
            activation: self.activation,
            encoder: &PlainText,
            special: SpecialTokens::ClipAd,
            progress: *progress,
        };
        text_anchors(clip, &request, cache, device)
    }
}

impl Model for WinClip {
    fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    fn grid(&self) -> usize {
        self.extractor.tower.grid()
    }

    fn class(&self, class: &ClassName) -> Result<Arc<dyn ClassModel>> {
        let anchors = self.anchors(&class.text)?;
        Ok(Arc::new(OfClass {
            extractor: Arc::clone(&self.extractor),
            anchors: anchors.columns(&self.setup.device)?,
            caution: self.class_free.caution(&class.text, &anchors, |text| self.anchors(text)),
            memory: None,
        }))
    }

    fn prepare(&self) -> Result<()> {
        self.extractor.tower.get().map(drop)
    }

    fn provenance(&self, into: &mut Provenance) {
        into.set("prompts", self.prompts.digest());
        into.set("anchors", ANCHORS);
        into.set("scales", format!("{:?}", self.extractor.scales));
        into.set("activation", self.activation.name());
    }
}

/// The same for one class.
#[derive(Clone)]
struct OfClass {
    extractor: Arc<Extractor>,
    /// `[D, 2]`
    anchors: Tensor,
    caution: Option<String>,
    memory: Option<Memory>,
}

impl ClassModel for OfClass {
    fn look(&self, picture: &Tensor) -> Result<Evidence> {
        let (seen, windows) = self.extractor.features(picture)?;
        let mut image = probabilities(&seen.image, &self.anchors)?.first().copied().unwrap_or(f32::NAN);
        let mut scales = vec![Array2::from_elem(seen.grid, image)];
        for (windows, embeddings) in windows.iter().zip(&seen.windows) {
            scales.push(windows.spread(&probabilities(embeddings, &self.anchors)?));
        }
        let mut values = harmonic_mean(&scales);
        if let Some(memory) = &self.memory {
            let distance = memory.association(&seen, &windows)?;
            image = (image + distance.iter().copied().fold(0.0, f32::max)) / 2.0;
            values = (values + distance) / 2.0;
        }
        let grid = PatchGrid { values, alignment: Alignment::HalfPixel, curve: Curve::Linear };
        Ok(Evidence { image: Some(image), grids: vec![grid] })
    }

    fn smoothing(&self) -> Smoothing {
        Smoothing::None
    }

    fn score(&self, image: Option<f32>, _: f32) -> f32 {
        image.unwrap_or(f32::NAN)
    }

    fn probability(&self, map_value: f32) -> f32 {
        map_value.clamp(0.0, 1.0)
    }

    fn caution(&self) -> Option<&str> {
        self.caution.as_deref()
    }

    fn with_references(
        &self,
        pictures: &mut dyn Iterator<Item = Result<Tensor>>,
        _: Trust,
    ) -> Result<Arc<dyn ClassModel>> {
        let seen = |picture: Result<Tensor>| Ok(self.extractor.features(&picture?)?.0);
        let good = pictures.map(seen).collect::<Result<Vec<_>>>()?;
        let memory = Some(Memory::new(&good)?);
        Ok(Arc::new(Self { memory, ..self.clone() }))
    }
}
