//! A detector: one model, one pair of anchors, one set of settings; picture after picture in, detections out.

use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use ndarray::{Array2, ArrayView2};

use crate::adapters::{ImageAdapter, LinearLayers, Method};
use crate::anchors::{Anchors, Domain};
use crate::clip::{Activation, BlockAdapter, Checkpoint, ClipConfig, Compute, FeatureRequest, LevelFeatures};
use crate::clip::{Precision, TapFidelity, VisionTower, Wanted};
use crate::image::{Chain, Fit, Geometry, Mask, Picture, Prepared, Preprocess};
use crate::levels::{check_levels, quarters};
use crate::map::{Sigma, gaussian, restore};
use crate::methods::aa_clip::Blur;
use crate::methods::aa_sdp::Fusion;
use crate::methods::{self, aa_clip, aa_sdp, sdp, sdp_plus};
use crate::{Error, Result};

/// How a [`Detector`] looks at pictures. The defaults are those of the reference of each method.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DetectorSettings {
    /// Side of the square the model looks at, in pixels; `None`: what the weights were trained at, for AA-CLIP with
    /// ViT-L/14@336 its 518.
    pub image_size: Option<usize>,
    /// Levels (1-based numbers of blocks) whose features are compared; `None`: the ends of the tower's quarters.
    pub levels: Option<Vec<usize>>,
    /// Smoothing of the map: for SDP and SDP+ in pixels at the model's resolution, for AA-CLIP in patches. `None`: 8
    /// pixels, or what AA-CLIP uses for the domain.
    pub smoothing: Option<Sigma>,
    /// Whether tapped features carry the reference code's in-place updates.
    pub fidelity: TapFidelity,
    /// The towers' activation; `None`: the configuration's, for AA-CLIP the exact GELU whatever that says.
    pub activation: Option<Activation>,
    /// How a picture is made square.
    pub fit: Fit,
    /// What kind of pictures these are; AA-CLIP smooths and scores accordingly.
    pub domain: Domain,
    /// How much of the dual path with residual adapters is the surgery path's.
    pub fusion: Fusion,
    /// The numbers the image tower computes with. Anchors are always made with 32-bit floats.
    pub precision: Precision,
}

impl DetectorSettings {
    /// Side of the square a model looks at.
    pub fn image_size(&self, config: &ClipConfig, method: Method) -> usize {
        let v = &config.vision;
        let native = match (method.adapts_towers(), v.image_size, v.patch_size) {
            (true, 336, 14) => 518,
            _ => v.image_size,
        };
        self.image_size.unwrap_or(native)
    }

    /// The towers' activation.
    pub fn activation(&self, config: &ClipConfig, method: Method) -> Activation {
        // AA-CLIP loads OpenAI's weights, trained with QuickGELU, into a model with the exact GELU.
        let native = if method.adapts_towers() { Activation::Gelu } else { config.activation };
        self.activation.unwrap_or(native)
    }
}

/// A method with what it was trained to.
#[derive(Debug, Clone)]
pub enum DetectorMethod {
    /// CLIP-AD's SDP.
    Sdp,
    /// CLIP-AD's SDP+.
    SdpPlus(LinearLayers),
    /// AA-CLIP.
    AaClip(ImageAdapter),
    /// The dual path with residual adapters, see [`methods::aa_sdp`].
    AaSdp(ImageAdapter),
}

impl DetectorMethod {
    /// The method itself.
    pub fn method(&self) -> Method {
        match self {
            Self::Sdp => Method::Sdp,
            Self::SdpPlus(_) => Method::SdpPlus,
            Self::AaClip(_) => Method::AaClip,
            Self::AaSdp(_) => Method::AaSdp,
        }
    }

    /// The same method, prepared for looking at pictures.
    fn packed(self) -> candle_core::Result<Self> {
        Ok(match self {
            Self::AaClip(adapter) => Self::AaClip(adapter.packed()?),
            Self::AaSdp(adapter) => Self::AaSdp(adapter.packed()?),
            other => other,
        })
    }

    /// For how many levels it was trained.
    fn trained_levels(&self) -> Option<usize> {
        match self {
            Self::Sdp => None,
            Self::SdpPlus(layers) => Some(layers.0.len()),
            Self::AaClip(adapter) | Self::AaSdp(adapter) => Some(adapter.levels()),
        }
    }
}

/// A model with a method and anchors, ready to look at pictures. Clones share the tower's weights.
#[derive(Clone)]
pub struct Detector {
    vision: VisionTower,
    method: DetectorMethod,
    preprocess: Preprocess,
    /// `[D, 2]`
    anchors: Tensor,
    levels: Vec<usize>,
    settings: DetectorSettings,
    device: Device,
}

/// A picture as a detector's tower takes it.
#[derive(Debug, Clone)]
pub struct PreparedPicture {
    prepared: Prepared,
    took: Duration,
}

/// What a detector finds in one picture.
#[derive(Debug, Clone)]
pub struct Detection {
    /// How anomalous the picture is, 0..1; see the `score` function of the method's module in [`methods`].
    pub score: f32,
    /// The parts the score is made of, in the reference's own units.
    pub components: Components,
    /// The reference's final map at the model's resolution: `[S, S]`.
    pub map: Array2<f32>,
    /// How the map lies on the picture.
    pub geometry: Geometry,
    /// Where the time went.
    pub timing: Timing,
    method: Method,
    levels: usize,
}

/// The parts a score is made of.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Components {
    /// SDP and SDP+: probability of "abnormal" for the whole picture (the reference's `pr_sp0`).
    pub text_prob: Option<f32>,
    /// AA-CLIP: the reference's image prediction.
    pub image_pred: Option<f32>,
    /// The least value of the final map.
    pub map_min: f32,
    /// The highest value of the final map.
    pub map_max: f32,
    /// The mean value of the final map.
    pub map_mean: f32,
}

/// Time spent on one picture.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Timing {
    /// Resizing and normalising.
    pub preprocess: Duration,
    /// The image tower and the comparison with the anchors.
    pub model: Duration,
    /// Up-sampling, smoothing and scoring.
    pub map: Duration,
}

/// What the tower and the anchors give, before it becomes a map.
enum Evidence {
    Sdp { similarity: sdp::Similarity },
    SdpPlus { similarity: sdp::Similarity, logits: Vec<Tensor> },
    AaClip { levels: Vec<Tensor>, image_prediction: f32 },
}

impl Detector {
    /// The largest side of the square a model can look at, in pixels: attention over a grid of more than a few thousand
    /// patches needs more memory than any machine has.
    pub const LARGEST_IMAGE: usize = 4096;

    /// Reads the image tower and takes the anchors.
    ///
    /// # Errors
    /// Settings that do not fit the model or the adapters, or weights that cannot be read.
    pub fn new(
        checkpoint: &Checkpoint,
        anchors: &Anchors,
        method: DetectorMethod,
        settings: &DetectorSettings,
        device: &Device,
    ) -> Result<Self> {
        let config = checkpoint.config();
        let image_size = settings.image_size(config, method.method());
        // A file may have named it: adapters say what they were trained with.
        if image_size > Self::LARGEST_IMAGE {
            return Err(Error::Setting(format!(
                "an image size of {image_size} is too large: at most {} pixels are looked at",
                Self::LARGEST_IMAGE
            )));
        }
        let levels = match &settings.levels {
            Some(levels) => check_levels(levels, config.vision.layers)?,
            None => quarters(config.vision.layers),
        };
        if let Some(trained) = method.trained_levels()
            && trained != levels.len()
        {
            return Err(Error::Setting(format!(
                "the adapters were trained for {trained} levels, these are {} ({levels:?}): name theirs with --levels",
                levels.len()
            )));
        }
        let columns = columns(anchors, config.embed_dim, device)?;
        let adapts = method.method().adapts_towers();
        Ok(Self {
            vision: checkpoint.vision(
                image_size,
                settings.activation(config, method.method()),
                &Compute::new(device, settings.precision),
            )?,
            preprocess: Preprocess {
                size: image_size,
                mean: config.normalisation.mean,
                std: config.normalisation.std,
                fit: settings.fit,
                chain: if adapts { Chain::RgbThenResize } else { Chain::ResizeThenRgb },
            },
            anchors: columns,
            method: method.packed()?,
            levels,
            settings: settings.clone(),
            device: device.clone(),
        })
    }

    /// The same detector for another class: shares the tower.
    ///
    /// # Errors
    /// Anchors of another width.
    pub fn with_anchors(&self, anchors: &Anchors, domain: Domain) -> Result<Self> {
        let width = self.anchors.dim(0)?;
        let mut other = Self { anchors: columns(anchors, width, &self.device)?, ..self.clone() };
        other.settings.domain = domain;
        Ok(other)
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.method.method()
    }

    /// The kind of pictures it scores.
    pub fn domain(&self) -> Domain {
        self.settings.domain
    }

    /// The levels whose features are compared.
    pub fn levels(&self) -> &[usize] {
        &self.levels
    }

    /// Side of the square the model looks at, in pixels.
    pub fn image_size(&self) -> usize {
        self.vision.image_size()
    }

    /// Looks at one picture.
    ///
    /// The result depends on the picture and the detector's settings alone, never on pictures seen before.
    ///
    /// # Errors
    /// A picture that cannot be made square (see [`Preprocess::run`]), or values that are not finite.
    pub fn detect(&self, picture: &Picture) -> Result<Detection> {
        self.detect_prepared(self.prepare(picture)?)
    }

    /// The first part of [`Detector::detect`], which needs neither the tower nor the device: other threads can do it
    /// while the model looks at another picture.
    ///
    /// # Errors
    /// A picture that cannot be made square.
    pub fn prepare(&self, picture: &Picture) -> Result<PreparedPicture> {
        let mut clock = Stopwatch::start();
        let prepared = self.preprocess.run(picture)?;
        Ok(PreparedPicture { prepared, took: clock.lap() })
    }

    /// What [`Detection::probabilities`] gives for a map that was kept, `[S, S]`, and the size of its picture.
    ///
    /// # Errors
    /// A picture without pixels.
    pub fn probabilities(
        &self,
        map: ArrayView2<'_, f32>,
        width: usize,
        height: usize,
    ) -> Result<Array2<f32>> {
        if width == 0 || height == 0 {
            return Err(Error::Setting(format!("a picture of {width} x {height} pixels has no map")));
        }
        let geometry = self.preprocess.geometry(width, height);
        Ok(probabilities(map, &geometry, self.method(), self.levels.len()))
    }

    /// A ground-truth mask at the model's resolution, `[S, S]`, see [`Preprocess::mask`].
    ///
    /// # Errors
    /// A mask without pixels.
    pub fn mask(&self, mask: &Picture) -> Result<Mask> {
        Ok(self.preprocess.mask(mask)?)
    }

    /// The second part of [`Detector::detect`]. The picture must have been prepared by this detector, or by one that
    /// differs in its anchors only.
    ///
    /// # Errors
    /// A picture prepared for another size, or values that are not finite.
    pub fn detect_prepared(&self, picture: PreparedPicture) -> Result<Detection> {
        let PreparedPicture { prepared, took: preprocess } = picture;
        let mut clock = Stopwatch::start();
        let size = self.image_size();
        let pixels = prepared.tensor.into_raw_vec_and_offset().0;
        let images = Tensor::from_vec(pixels, (1, 3, size, size), &self.device)?;

        let evidence = self.look(&images)?;
        let model = clock.lap();

        let map = self.map(&evidence)?;
        let (map_min, map_max) =
            map.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), &v| (lo.min(v), hi.max(v)));
        let map_mean = map.mean().unwrap_or(f32::NAN);
        let levels = self.levels.len();
        let (score, text_prob, image_pred) = match &evidence {
            Evidence::Sdp { similarity } => {
                let text = scalar(&similarity.text_probability)?;
                (sdp::score(text, map_max, levels), Some(text), None)
            }
            Evidence::SdpPlus { similarity, .. } => {
                let text = scalar(&similarity.text_probability)?;
                (sdp_plus::score(text, map_max, levels), Some(text), None)
            }
            Evidence::AaClip { image_prediction, .. } => {
                let score = aa_clip::score(*image_prediction, map_max, levels, self.settings.domain);
                (score, None, Some(*image_prediction))
            }
        };
        if !(score.is_finite() && map_mean.is_finite()) {
            return Err(Error::NotFinite { what: "the anomaly map or score" });
        }
        Ok(Detection {
            score,
            components: Components { text_prob, image_pred, map_min, map_max, map_mean },
            map,
            geometry: prepared.geometry,
            timing: Timing { preprocess, model, map: clock.lap() },
            method: self.method(),
            levels,
        })
    }

    /// One pass through the tower, and the comparison with the anchors.
    fn look(&self, images: &Tensor) -> Result<Evidence> {
        let adapter = match &self.method {
            DetectorMethod::AaClip(adapter) | DetectorMethod::AaSdp(adapter) => {
                Some(adapter as &dyn BlockAdapter)
            }
            DetectorMethod::Sdp | DetectorMethod::SdpPlus(_) => None,
        };
        let surgery = self.method() != Method::AaClip;
        // AA-CLIP keeps clean features; its official code has no in-place updates.
        let fidelity = if surgery { self.settings.fidelity } else { TapFidelity::Clean };
        let original = if self.method() == Method::Sdp { Wanted::Class } else { Wanted::All };
        let request = FeatureRequest { levels: &self.levels, surgery, fidelity, adapter, original };
        let features = self.vision.features(images, request)?;
        Ok(match &self.method {
            DetectorMethod::Sdp => Evidence::Sdp { similarity: sdp::similarity(&features, &self.anchors)? },
            DetectorMethod::SdpPlus(layers) => Evidence::SdpPlus {
                similarity: sdp::similarity(&features, &self.anchors)?,
                logits: sdp_plus::logits(&features, layers, &self.anchors)?,
            },
            DetectorMethod::AaClip(adapter) | DetectorMethod::AaSdp(adapter) => {
                let projected = aa_clip::project(&self.vision, &features, adapter)?;
                let level = |(patches, level): (&Tensor, &LevelFeatures)| {
                    let adapted = aa_clip::level_map(patches, &self.anchors)?;
                    match surgery {
                        true => aa_sdp::fuse(&adapted, level, &self.anchors, self.settings.fusion),
                        false => Ok(adapted),
                    }
                };
                let levels = projected.patches.iter().zip(&features).map(level);
                Evidence::AaClip {
                    levels: levels.collect::<candle_core::Result<_>>()?,
                    image_prediction: scalar(&aa_clip::image_prediction(&projected.image, &self.anchors)?)?,
                }
            }
        })
    }

    /// The final map, `[S, S]`.
    fn map(&self, evidence: &Evidence) -> Result<Array2<f32>> {
        let size = self.image_size();
        let smoothing = self.settings.smoothing;
        Ok(match evidence {
            Evidence::Sdp { similarity } => {
                gaussian(similarity.first_map(size)?.view(), smoothing.unwrap_or(Sigma::SDP))
            }
            Evidence::SdpPlus { similarity, logits } => {
                let sum = similarity.first_map(size)? + sdp_plus::trained_map(logits, size)?;
                gaussian(sum.view(), smoothing.unwrap_or(Sigma::SDP))
            }
            Evidence::AaClip { levels, .. } => {
                let blur = Blur::of(self.settings.domain);
                aa_clip::final_map(levels, size, Blur { sigma: smoothing.unwrap_or(blur.sigma), ..blur })?
            }
        })
    }
}

/// Anchors as the columns of `[D, 2]`.
fn columns(anchors: &Anchors, width: usize, device: &Device) -> Result<Tensor> {
    if anchors.normal.len() != width || anchors.abnormal.len() != width {
        return Err(Error::Setting(format!(
            "anchors of width {} do not fit a model of embedding width {width}",
            anchors.normal.len()
        )));
    }
    let values = anchors.normal.iter().zip(&anchors.abnormal).flat_map(|(&n, &a)| [n, a]);
    Ok(Tensor::from_iter(values, device)?.reshape((width, 2))?)
}

/// The only value of a batch of one.
fn scalar(values: &Tensor) -> candle_core::Result<f32> {
    values.get(0)?.to_scalar()
}

impl Detection {
    /// The probability of "abnormal" for every pixel of the picture, `[H, W]`; see [`methods::probability`].
    ///
    /// Pixels the model did not see (those cut off by [`Fit::Crop`]) are 0.
    pub fn probabilities(&self) -> Array2<f32> {
        probabilities(self.map.view(), &self.geometry, self.method, self.levels)
    }
}

fn probabilities(
    map: ArrayView2<'_, f32>,
    geometry: &Geometry,
    method: Method,
    levels: usize,
) -> Array2<f32> {
    let mut map = restore(map, geometry, f32::NEG_INFINITY);
    map.par_mapv_inplace(|v| methods::probability(method, v, levels));
    map
}

/// Times one stage after another.
struct Stopwatch(Instant);

impl Stopwatch {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn lap(&mut self) -> Duration {
        let lap = self.0.elapsed();
        self.0 = Instant::now();
        lap
    }
}
