//! How a detector looks, and what it was trained to.

use crate::adapters::{ImageAdapter, LinearLayers, Method};
use crate::anchors::Domain;
use crate::clip::{Activation, ClipConfig, Precision, TapFidelity};
use crate::image::Fit;
use crate::map::Sigma;
use crate::methods::aa_sdp::Fusion;
use crate::tiles::Tiling;

/// How a [`Detector`](super::Detector) looks at pictures. The defaults are those of the reference of each method.
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
    /// How large pictures are looked at in parts; `None`: every picture as a whole.
    pub tiling: Option<Tiling>,
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
    /// The dual path with residual adapters, see [`methods::aa_sdp`](crate::methods::aa_sdp).
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
    pub(super) fn packed(self) -> candle_core::Result<Self> {
        Ok(match self {
            Self::AaClip(adapter) => Self::AaClip(adapter.packed()?),
            Self::AaSdp(adapter) => Self::AaSdp(adapter.packed()?),
            other => other,
        })
    }

    /// For how many levels it was trained.
    pub(super) fn trained_levels(&self) -> Option<usize> {
        match self {
            Self::Sdp => None,
            Self::SdpPlus(layers) => Some(layers.0.len()),
            Self::AaClip(adapter) | Self::AaSdp(adapter) => Some(adapter.levels()),
        }
    }
}
