//! One pass through the tower, and the map that comes of it.

use candle_core::Tensor;
use ndarray::Array2;

use super::{Detector, DetectorMethod};
use crate::Result;
use crate::adapters::Method;
use crate::clip::{BlockAdapter, FeatureRequest, LevelFeatures, TapFidelity, Wanted};
use crate::map::{Alignment, Sigma, gaussian};
use crate::methods::aa_clip::Blur;
use crate::methods::{aa_clip, aa_sdp, sdp, sdp_plus};

/// What the tower and the anchors give, before it becomes a map.
pub(super) enum Evidence {
    Sdp { similarity: sdp::Similarity },
    SdpPlus { similarity: sdp::Similarity, logits: Vec<Tensor> },
    AaClip { levels: Vec<Tensor>, image_prediction: f32 },
}

impl Detector {
    /// One pass through the tower, and the comparison with the anchors.
    pub(super) fn look(&self, images: &Tensor) -> Result<Evidence> {
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
    pub(super) fn map(&self, evidence: &Evidence) -> Result<Array2<f32>> {
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

    /// The map of a tile before it is blended, `[S, S]`: as the final map, but not smoothed, and every patch where its
    /// pixels are. (Aligned corners, as the references have them, pull patches outward by up to half of one; what two
    /// tiles see in their overlap would come to lie at two places.)
    pub(super) fn tile_map(&self, evidence: &Evidence) -> Result<Array2<f32>> {
        let size = self.image_size();
        Ok(match evidence {
            Evidence::Sdp { similarity } => similarity.first_map(size)?,
            Evidence::SdpPlus { similarity, logits } => {
                similarity.first_map(size)? + sdp_plus::sum_of_levels(logits, size, Alignment::HalfPixel)?
            }
            Evidence::AaClip { levels, .. } => aa_clip::sum_of_levels(levels, size)?,
        })
    }

    /// Smooths a blended map as the method does, all of it at once: no tile ends where it is smoothed. `scale` is how
    /// many of its pixels are one of a tile's map.
    pub(super) fn smooth(&self, map: Array2<f32>, scale: f64) -> Array2<f32> {
        let smoothing = self.settings.smoothing;
        match self.method() {
            Method::Sdp | Method::SdpPlus => {
                gaussian(map.view(), smoothing.unwrap_or(Sigma::SDP).scaled(scale))
            }
            Method::AaClip | Method::AaSdp => {
                let blur = Blur::of(self.settings.domain);
                let pitch = self.image_size() as f64 / self.vision.grid() as f64 * scale;
                aa_clip::smooth(&map, pitch, Blur { sigma: smoothing.unwrap_or(blur.sigma), ..blur })
            }
        }
    }
}

/// The only value of a batch of one.
pub(super) fn scalar(values: &Tensor) -> candle_core::Result<f32> {
    values.get(0)?.to_scalar()
}
