//! The common part of methods that compare image features with two text anchors per class.

use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::caution::ClassFree;
use super::{ClassModel, Components, ImageTower, Model, Setup, options};
use crate::anchors::{
    AnchorCache, AnchorRequest, Anchors, ClassName, Domain, PlainText, PromptSet, Representative,
    SentenceEncoder, text_anchors,
};
use crate::clip::{Activation, Checkpoint, SpecialTokens, VisionTower};
use crate::image::{Chain, Fit, Preprocess};
use crate::map::{Evidence, Smoothing};
use crate::progress::Progress;
use crate::{Provenance, Result};

/// The part of such a method that uses a picture and two anchors.
pub trait TwoAnchors: Send + Sync + 'static {
    /// The evidence in a picture, `[1, 3, S, S]`. `anchors` is `[D, 2]`: the normal and the abnormal anchor,
    /// of unit length.
    ///
    /// # Errors
    /// The anchors have another width.
    fn look(&self, tower: &VisionTower, picture: &Tensor, anchors: &Tensor) -> candle_core::Result<Evidence>;

    /// The smoothing of the map.
    fn smoothing(&self, domain: Domain) -> Smoothing;

    /// See [`ClassModel::score`].
    fn score(&self, image: f32, map_max: f32, domain: Domain) -> f32;

    /// See [`ClassModel::probability`].
    fn probability(&self, map_value: f32) -> f32;

    /// See [`ClassModel::official_scores`].
    fn official_scores(&self, pictures: &[Components], domain: Domain) -> Vec<f32>;

    /// The encoder from sentences to vectors.
    fn encoder(&self) -> &dyn SentenceEncoder {
        &PlainText
    }

    /// Records the settings that scores depend on, except those common to all such methods.
    fn provenance(&self, into: &mut Provenance);
}

/// The parts of such a method that are known before loading.
pub struct Parts {
    /// The compared levels, for results.
    pub levels: Vec<usize>,
    /// Side of the model's input square, in pixels.
    pub image_size: usize,
    /// Both towers' activation.
    pub activation: Activation,
    /// The literal strings that mean the start and end token.
    pub special: SpecialTokens,
    /// The order of resizing and conversion to RGB.
    pub chain: Chain,
}

/// A loaded method that compares with two anchors.
pub struct Anchored<M> {
    method: Arc<M>,
    tower: Arc<ImageTower>,
    clip: Arc<Checkpoint>,
    preprocess: Preprocess,
    parts: Parts,
    prompts: PromptSet,
    representative: Representative,
    /// The domain, if given.
    domain: Option<Domain>,
    smoothing: Option<String>,
    device: Device,
    cache: AnchorCache,
    progress: Progress,
    class_free: ClassFree,
}

impl<M: TwoAnchors> Anchored<M> {
    /// The method of a setup, without reading a tower.
    ///
    /// # Errors
    /// An option is invalid.
    pub fn new(setup: &Setup, parts: Parts, method: M) -> Result<Self> {
        Ok(Self {
            method: Arc::new(method),
            tower: Arc::new(ImageTower::new(setup, parts.image_size, parts.activation)),
            clip: Arc::clone(&setup.clip),
            preprocess: setup.preprocess(parts.image_size, parts.chain, Fit::Squash),
            parts,
            prompts: setup.prompts()?,
            representative: setup.representative()?,
            domain: options::domain(&setup.options)?,
            smoothing: setup.options.text(&options::SMOOTHING).map(str::to_owned),
            device: setup.device.clone(),
            cache: setup.cache.clone(),
            progress: setup.progress,
            class_free: ClassFree::default(),
        })
    }

    fn anchors(&self, class: &str) -> Result<Anchors> {
        let request = AnchorRequest {
            prompts: &self.prompts,
            class,
            representative: self.representative,
            activation: self.parts.activation,
            encoder: self.method.encoder(),
            special: self.parts.special,
            progress: self.progress,
        };
        text_anchors(&self.clip, &request, &self.cache, &self.device)
    }
}

impl<M: TwoAnchors> Model for Anchored<M> {
    fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    fn grid(&self) -> usize {
        self.tower.grid()
    }

    fn class(&self, class: &ClassName) -> Result<Arc<dyn ClassModel>> {
        let anchors = self.anchors(&class.text)?;
        Ok(Arc::new(OfClass {
            method: Arc::clone(&self.method),
            tower: Arc::clone(&self.tower),
            anchors: anchors.columns(&self.device)?,
            caution: self.class_free.caution(&class.text, &anchors, |text| self.anchors(text)),
            domain: self.domain.or(class.domain).unwrap_or_default(),
        }))
    }

    fn prepare(&self) -> Result<()> {
        self.tower.get().map(drop)
    }

    fn provenance(&self, into: &mut Provenance) {
        into.set("prompts", self.prompts.digest());
        into.set("anchors", self.representative);
        into.set("levels", format!("{:?}", self.parts.levels));
        into.set("smoothing", self.smoothing.as_deref().unwrap_or("default"));
        into.set("activation", self.parts.activation.name());
        into.set("domain", self.domain.map_or("of the class", Domain::name));
        self.method.provenance(into);
    }
}

/// The method for one class.
struct OfClass<M> {
    method: Arc<M>,
    tower: Arc<ImageTower>,
    /// `[D, 2]`
    anchors: Tensor,
    caution: Option<String>,
    domain: Domain,
}

impl<M: TwoAnchors> ClassModel for OfClass<M> {
    fn look(&self, picture: &Tensor) -> Result<Evidence> {
        Ok(self.method.look(self.tower.get()?, picture, &self.anchors)?)
    }

    fn smoothing(&self) -> Smoothing {
        self.method.smoothing(self.domain)
    }

    fn score(&self, image: Option<f32>, map_max: f32) -> f32 {
        self.method.score(image.unwrap_or(f32::NAN), map_max, self.domain)
    }

    fn probability(&self, map_value: f32) -> f32 {
        self.method.probability(map_value)
    }

    fn official_scores(&self, pictures: &[Components]) -> Vec<f32> {
        self.method.official_scores(pictures, self.domain)
    }

    fn caution(&self) -> Option<&str> {
        self.caution.as_deref()
    }
}
