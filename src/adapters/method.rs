//! The methods, by name.

/// The methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// CLIP-AD's staged dual path, without training.
    Sdp,
    /// SDP with trained linear layers on the original path.
    SdpPlus,
    /// AA-CLIP: residual adapters in both towers.
    AaClip,
    /// AA-CLIP's adapted original path and anchors together with SDP's staged V-V path, in one pass.
    AaSdp,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 4] = [Self::Sdp, Self::SdpPlus, Self::AaClip, Self::AaSdp];

    /// The name on the command line, in records and in adapter files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sdp => "sdp",
            Self::SdpPlus => "sdp-plus",
            Self::AaClip => "aa-clip",
            Self::AaSdp => "aa-sdp",
        }
    }

    /// Whether the method runs AA-CLIP's adapters, and so everything else of AA-CLIP.
    pub fn adapts_towers(self) -> bool {
        matches!(self, Self::AaClip | Self::AaSdp)
    }
}
