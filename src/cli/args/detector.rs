//! The arguments that shape a detector, shared by every command that runs one.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use aaclip::adapters::{AaClipOptions, AdapterFile, Method, Share};
use aaclip::anchors::{Domain, Representative};
use aaclip::clip::PrecisionChoice;
use aaclip::clip::{Activation, TapFidelity};
use aaclip::device::DeviceChoice;
use aaclip::image::{DecodeLimits, DecodeOptions, Fit, Gray16};
use aaclip::map::Sigma;
use aaclip::methods::aa_sdp::Fusion;
use aaclip::tiles::{Overlap, TileSide, Tiling};
use aaclip::{Detector, Error, Result};
use clap::ValueEnum;

use crate::cli::args::names;

/// What a detector is made of.
#[derive(Debug, clap::Args)]
pub struct DetectorArgs {
    /// The model: a name of `aaclip models list`, or a folder with a configuration and weights [default: the first of
    /// that list that is here]
    #[arg(long, value_name = "NAME|DIR", env = "AACLIP_MODEL")]
    pub model: Option<String>,

    /// Trained adapters: AA-CLIP's checkpoint folder or image_adapter_N.pth, SDP+'s .pth, or a .safetensors
    #[arg(long, value_name = "PATH")]
    pub adapters: Option<PathBuf>,

    /// How features and anchors become a map and a score
    #[arg(long, value_enum, default_value_t = MethodName::Auto)]
    pub method: MethodName,

    /// The prompt ensemble: a name of `aaclip prompts list`, or a file [default: clip-ad, aa-clip for AA-CLIP]
    #[arg(long, value_name = "NAME|FILE")]
    pub prompts: Option<String>,

    /// How the sentences' vectors become one anchor
    #[arg(long, value_enum, default_value_t = AnchorName::Mean)]
    pub anchors: AnchorName,

    /// Bandwidth of kde (default 0.3) or mean-shift (default 2)
    #[arg(long, value_name = "X", help_heading = "Anchor parameters")]
    pub anchor_bandwidth: Option<f64>,

    /// Neighbourhood radius of dbscan (default 0.5; the reference uses 1.5 for VisA)
    #[arg(long, value_name = "X", help_heading = "Anchor parameters")]
    pub anchor_eps: Option<f64>,

    /// Neighbours that make a core point of dbscan (default 15; the reference uses 25 for VisA)
    #[arg(long, value_name = "N", help_heading = "Anchor parameters")]
    pub anchor_min_samples: Option<usize>,

    /// Steps after which mean-shift stops (default 300)
    #[arg(long, value_name = "N", help_heading = "Anchor parameters")]
    pub anchor_iterations: Option<usize>,

    /// Encode the prompts again instead of reading their anchors from the cache
    #[arg(long, help_heading = "Anchor parameters")]
    pub no_cache: bool,

    /// Blocks whose features are compared, counted from 1 [default: the ends of the tower's quarters]
    #[arg(long, value_name = "3,6,9,12", value_delimiter = ',')]
    pub levels: Vec<usize>,

    /// Side of the square the model looks at, in pixels [default: the model's own]
    #[arg(long, value_name = "N", value_parser = parse_image_size)]
    pub image_size: Option<usize>,

    /// Gaussian smoothing: of SDP's map in pixels at the model's resolution [default: 8], of AA-CLIP's in patches
    /// [default: 1, medical 1.5]
    #[arg(long, value_name = "S", value_parser = parse_sigma, allow_negative_numbers = true)]
    pub smoothing: Option<Sigma>,

    /// The kind of pictures: AA-CLIP smooths and scores them accordingly [default: the data set's, else industrial]
    #[arg(long, value_enum)]
    pub domain: Option<DomainName>,

    /// Text blocks whose output is adapted [default: as many as there are adapters]
    #[arg(long, value_name = "N", help_heading = "AA-CLIP")]
    pub text_adapt_until: Option<usize>,

    /// Image blocks whose output is adapted [default: as many as there are adapters]
    #[arg(long, value_name = "N", help_heading = "AA-CLIP")]
    pub image_adapt_until: Option<usize>,

    /// Weight of the text adapters, 0..1 [default: the file's, else 0.1]
    #[arg(long, value_name = "X", value_parser = parse_share, help_heading = "AA-CLIP")]
    pub text_adapt_weight: Option<Share>,

    /// Weight of the image adapters, 0..1 [default: the file's, else 0.1]
    #[arg(long, value_name = "X", value_parser = parse_share, help_heading = "AA-CLIP")]
    pub image_adapt_weight: Option<Share>,

    /// Whether a leaky ReLU follows the image projections [default: what the file's names say]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = "AA-CLIP")]
    pub relu: Option<bool>,

    /// How much of aa-sdp's map is the surgery path's, 0..1 [default: 0.5]
    #[arg(long, value_name = "X", value_parser = parse_fusion, help_heading = "AA-CLIP")]
    pub fusion: Option<Fusion>,

    /// The towers' activation, if it is not the configuration's
    #[arg(long, value_enum)]
    pub activation: Option<ActivationName>,

    /// Features as the reference code keeps them (with its in-place updates) or as the paper describes them
    #[arg(long, value_enum, default_value_t = FidelityName::Reference)]
    pub fidelity: FidelityName,

    /// How a picture is made square
    #[arg(long, value_enum, default_value_t = FitName::Squash)]
    pub fit: FitName,

    /// Look at large pictures in squares of SIZE pixels, each at the model's full resolution; a tile costs as much time
    /// as a picture
    ///
    /// Tiles are spread evenly, overlap by at least --overlap and are never larger than the picture's shorter side; at
    /// most 1024 a picture. Their maps are blended with weights that fade over the overlap, and smoothed once.
    ///
    /// Effect on the score: its formula stays. The whole picture's value (components.text_prob or image_pred) comes
    /// from one more pass over the whole picture, as without tiles; map_max is the highest value of the blended map.
    /// Small defects, which a whole picture made small hides, raise it; so does the texture of good parts, and more
    /// tiles find more of that. Thresholds must come from pictures looked at with the same tiles: `calibrate` takes
    /// the same flags, and `detect` refuses a threshold file made with others.
    ///
    /// --save raw then writes the blended map, [Hm, Wm], at the scale where a tile is as many pixels as the model's
    /// square, or smaller where that were more than 16.7 million pixels.
    #[arg(long, value_name = "SIZE", value_parser = parse_tile, help_heading = "High resolution")]
    pub tile: Option<NonZeroUsize>,

    /// How much of a tile its neighbour sees too, 0..0.9 [default: 0.25]. With 0 tiles may show in the map, for there is
    /// nothing to fade over
    #[arg(long, value_name = "F", value_parser = parse_overlap, help_heading = "High resolution")]
    pub overlap: Option<Overlap>,

    /// Where to compute: cpu, cuda, cuda:N or metal
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub device: DeviceChoice,

    /// Numbers the image tower computes with: f32, bf16, int8, f16 (GPUs only), or auto (bf16 where the hardware has
    /// it). bf16 and int8 are faster and change scores a little
    #[arg(long, value_name = "PRECISION", default_value = "f32")]
    pub precision: PrecisionChoice,

    /// Largest picture that is decoded, in millions of pixels
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=4096))]
    pub max_megapixels: u64,

    /// 16-bit grey pictures: clip values above 255 (as the reference does) or scale them to 8 bits
    #[arg(long, value_enum, default_value_t = Gray16Name::Clip)]
    pub gray16: Gray16Name,
}

names!(ActivationName => Activation {
    /// The exact GELU (LAION's models)
    Gelu => Activation::Gelu,
    /// x * sigmoid(1.702 x) (OpenAI's models)
    QuickGelu => Activation::QuickGelu,
});
names!(FidelityName => TapFidelity {
    /// As the official code
    Reference => TapFidelity::Reference,
    /// As the paper
    Clean => TapFidelity::Clean,
});
names!(FitName => Fit {
    /// Stretch both sides, as the papers do
    Squash => Fit::Squash,
    /// Cut the longer side; what is cut off is not looked at
    Crop => Fit::Crop,
    /// Fill the shorter side with the mean colour
    Pad => Fit::Pad,
    /// Squares of the shorter side along the longer one (see --tile), the whole picture padded
    Tile => Fit::Pad,
});
names!(Gray16Name => Gray16 {
    /// Values above 255 become white
    Clip => Gray16::Clip,
    /// The high byte
    Scale => Gray16::Scale,
});

names!(DomainName => Domain {
    /// Manufactured parts and surfaces
    Industrial => Domain::Industrial,
    /// Medical pictures
    Medical => Domain::Medical,
});

/// The methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MethodName {
    /// What the adapters imply; sdp without any
    Auto,
    /// CLIP-AD's staged dual path, without training
    Sdp,
    /// SDP with trained linear layers
    SdpPlus,
    /// AA-CLIP: residual adapters in both towers
    AaClip,
    /// Both at once: AA-CLIP's adapted path and anchors with SDP's staged V-V path
    AaSdp,
}

impl MethodName {
    /// Whether it stands for AA-CLIP, or a method that runs its adapters.
    pub fn may_adapt(self) -> bool {
        matches!(self, Self::Auto | Self::AaClip | Self::AaSdp)
    }
}

/// The representative vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AnchorName {
    /// Their mean
    Mean,
    /// The direction they have most in common
    Pca,
    /// Their mean, weighted by density
    Kde,
    /// The mean of the largest density cluster
    Dbscan,
    /// The mean of the largest mean-shift cluster
    MeanShift,
}

impl DetectorArgs {
    /// The method: the one that is named, else what the adapters imply.
    ///
    /// # Errors
    /// A method that needs adapters without any, or one that has no use for them.
    pub fn method(&self, adapters: Option<&AdapterFile>) -> Result<Method> {
        let named = match self.method {
            MethodName::Auto => None,
            MethodName::Sdp => Some(Method::Sdp),
            MethodName::SdpPlus => Some(Method::SdpPlus),
            MethodName::AaClip => Some(Method::AaClip),
            MethodName::AaSdp => Some(Method::AaSdp),
        };
        match (named, adapters) {
            (None, None) => Ok(Method::Sdp),
            (None, Some(file)) => Ok(file.method()),
            (Some(Method::Sdp), Some(_)) => {
                Err(Error::Setting("--adapters has no effect with --method sdp".to_owned()))
            }
            (Some(method), None) if method != Method::Sdp => Err(Error::Setting(format!(
                "--method {} needs trained adapters: name them with --adapters",
                method.name()
            ))),
            (Some(method), _) => Ok(method),
        }
    }

    /// Refuses flags that the method has no use for.
    ///
    /// # Errors
    /// The first such flag.
    pub fn check_for(&self, method: Method) -> Result<()> {
        let adapted = [
            ("--text-adapt-until", self.text_adapt_until.is_some()),
            ("--image-adapt-until", self.image_adapt_until.is_some()),
            ("--text-adapt-weight", self.text_adapt_weight.is_some()),
            ("--image-adapt-weight", self.image_adapt_weight.is_some()),
            ("--relu", self.relu.is_some()),
            ("--domain", self.domain.is_some()),
        ];
        let unused =
            adapted.iter().find(|(_, given)| *given && !method.adapts_towers()).map(|(flag, _)| *flag);
        let unused = unused
            .or((self.fusion.is_some() && method != Method::AaSdp).then_some("--fusion"))
            .or((self.fidelity != FidelityName::Reference && method == Method::AaClip)
                .then_some("--fidelity"));
        match unused {
            Some(flag) => Err(Error::Setting(format!("{flag} has no effect with method {}", method.name()))),
            None => Ok(()),
        }
    }

    /// What the flags say about AA-CLIP's adapters.
    pub fn adapter_options(&self) -> AaClipOptions {
        AaClipOptions {
            text_adapt_until: self.text_adapt_until,
            image_adapt_until: self.image_adapt_until,
            text_adapt_weight: self.text_adapt_weight,
            image_adapt_weight: self.image_adapt_weight,
            relu: self.relu,
        }
    }

    /// How large pictures are looked at in parts.
    ///
    /// # Errors
    /// Flags that contradict each other, or have no effect.
    pub fn tiling(&self) -> Result<Option<Tiling>> {
        let side = match (self.tile, self.fit) {
            (Some(_), FitName::Tile) => {
                return Err(Error::Setting(
                    "--fit tile takes tiles of the picture's shorter side: leave out --tile, or choose another --fit"
                        .to_owned(),
                ));
            }
            (Some(side), _) => TileSide::Pixels(side),
            (None, FitName::Tile) => TileSide::Short,
            (None, _) if self.overlap.is_some() => {
                return Err(Error::Setting(
                    "--overlap has no effect without --tile or --fit tile".to_owned(),
                ));
            }
            (None, _) => return Ok(None),
        };
        Ok(Some(Tiling { side, overlap: self.overlap.unwrap_or_default() }))
    }

    pub fn decode_options(&self) -> DecodeOptions {
        let limits = DecodeLimits { max_pixels: self.max_megapixels * 1_000_000, ..DecodeLimits::default() };
        DecodeOptions { limits, gray16: self.gray16.into() }
    }

    /// The representative vector with its parameters.
    ///
    /// # Errors
    /// A parameter that the chosen one does not have.
    pub fn representative(&self) -> Result<Representative> {
        let mut chosen = match self.anchors {
            AnchorName::Mean => Representative::Mean,
            AnchorName::Pca => Representative::Pca,
            AnchorName::Kde => Representative::kde(),
            AnchorName::Dbscan => Representative::dbscan(),
            AnchorName::MeanShift => Representative::mean_shift(),
        };
        let mut unused = Vec::new();
        if let Some(value) = self.anchor_bandwidth {
            match &mut chosen {
                Representative::Kde { bandwidth } | Representative::MeanShift { bandwidth, .. } => {
                    *bandwidth = value
                }
                _ => unused.push("--anchor-bandwidth"),
            }
        }
        if let Some(value) = self.anchor_eps {
            match &mut chosen {
                Representative::Dbscan { eps, .. } => *eps = value,
                _ => unused.push("--anchor-eps"),
            }
        }
        if let Some(value) = self.anchor_min_samples {
            match &mut chosen {
                Representative::Dbscan { min_samples, .. } => *min_samples = value,
                _ => unused.push("--anchor-min-samples"),
            }
        }
        if let Some(value) = self.anchor_iterations {
            match &mut chosen {
                Representative::MeanShift { max_iterations, .. } => *max_iterations = value,
                _ => unused.push("--anchor-iterations"),
            }
        }
        match unused.first() {
            Some(flag) => {
                let name =
                    self.anchors.to_possible_value().map_or(String::new(), |v| v.get_name().to_owned());
                Err(Error::Setting(format!("{flag} has no effect with --anchors {name}")))
            }
            None => Ok(chosen),
        }
    }
}

fn parse_sigma(text: &str) -> Result<Sigma, String> {
    text.parse()
        .ok()
        .and_then(Sigma::new)
        .ok_or_else(|| format!("expected a number of pixels from 0 to {}", Sigma::MAX))
}

pub fn parse_share(text: &str) -> Result<Share, String> {
    text.parse().ok().and_then(Share::new).ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

fn parse_fusion(text: &str) -> Result<Fusion, String> {
    text.parse().ok().and_then(Fusion::new).ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

fn parse_overlap(text: &str) -> Result<Overlap, String> {
    let refused = || format!("expected a number from 0 to {}", Overlap::MAX);
    text.parse().ok().and_then(Overlap::new).ok_or_else(refused)
}

/// The smallest tile that is worth a look: a patch or so.
const SMALLEST_TILE: usize = 16;

fn parse_tile(text: &str) -> Result<NonZeroUsize, String> {
    let side = text.parse::<NonZeroUsize>().ok().filter(|n| n.get() >= SMALLEST_TILE);
    side.ok_or_else(|| format!("expected a number of pixels, at least {SMALLEST_TILE}"))
}

pub fn parse_image_size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=Detector::LARGEST_IMAGE) => Ok(n),
        _ => Err(format!("expected a number of pixels from 1 to {}", Detector::LARGEST_IMAGE)),
    }
}
