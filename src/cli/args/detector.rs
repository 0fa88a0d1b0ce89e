//! The arguments of a detector, shared by all commands that use one.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use aaclip::anchors::AnchorCache;
use aaclip::clip::{Activation, PrecisionChoice};
use aaclip::device::DeviceChoice;
use aaclip::image::{DecodeOptions, Fit, OrientationRule, SampleRange};
use aaclip::memory::MemoryBound;
use aaclip::methods::Setup;
use aaclip::progress::Progress;
use aaclip::tiles::{Overlap, TileSide, Tiling};
use aaclip::{DetectorBuilder, Error, References, Result};

use crate::cli::args::method::MethodArgs;
use crate::cli::args::names;
use crate::cli::inputs;

/// The arguments of a detector.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Model and input")]
pub struct DetectorArgs {
    /// The model: a name of `aaclip models list`, a folder with a configuration and weights, or a weights file
    /// [default: the first of that list on this machine]
    ///
    /// A weights file (OpenAI's .pt, open_clip's or Hugging Face's .safetensors, .bin or .pt) needs no configuration: an
    /// open_clip_config.json and a tokenizer.json beside it are used, else the shapes of its tensors and these rules: a
    /// head is 64 wide (as published for ViT-H, ViT-g and ViT-bigG), the activation is quick-gelu for OpenAI's own
    /// archives and under Hugging Face's tensor names, else gelu (see --activation).
    #[arg(long, value_name = "NAME|DIR|FILE", env = "AACLIP_MODEL")]
    pub model: Option<String>,

    /// Trained adapters: AA-CLIP's checkpoint folder or image_adapter_N.pth, SDP+'s .pth, or a .safetensors
    #[arg(long, value_name = "PATH")]
    pub adapters: Option<PathBuf>,

    #[command(flatten)]
    pub method: MethodArgs,

    /// Pictures of good parts to compare with: files or folders; without --method, method nearest compares with them
    #[arg(long, value_name = "FILE|DIR", num_args = 1..)]
    pub reference: Vec<PathBuf>,

    /// Encode the prompts again instead of reading their anchors from the cache
    #[arg(long, help_heading = "Anchor parameters")]
    pub no_cache: bool,

    /// Side of the model's square input, in pixels [default: the model's own]
    #[arg(long, value_name = "N", value_parser = parse_image_size)]
    pub image_size: Option<usize>,

    /// The towers' activation, if it is not the configuration's
    #[arg(long, value_enum)]
    pub activation: Option<ActivationName>,

    /// How a picture is made square [default: the method's way, mostly squash]
    #[arg(long, value_enum)]
    pub fit: Option<FitName>,

    /// Process large pictures in squares of SIZE pixels, each at the model's full resolution; a tile takes as much time
    /// as a picture
    ///
    /// Tiles are spread evenly, overlap by at least --overlap and are never larger than the picture's shorter side; at
    /// most 1024 per picture. Their maps are blended with weights that fade over the overlap, and smoothed once.
    ///
    /// Effect on the score: the formula does not change. The whole picture's value (components.image) is computed
    /// in one more pass over the whole picture, as without tiles; map_max is the highest value of the blended map.
    /// Small defects, which vanish when the whole picture is shrunk, raise it; so does the texture of good parts, and
    /// more tiles find more texture. Thresholds must be found with the same tiles: `calibrate` takes the same flags,
    /// and `detect` refuses a threshold file made with other flags.
    ///
    /// --save raw then writes the blended map, [Hm, Wm], at the scale where a tile has as many pixels as the model's
    /// square, or at a smaller scale if that map had more than 16.7 million pixels.
    #[arg(long, value_name = "SIZE", value_parser = parse_tile, help_heading = "High resolution")]
    pub tile: Option<NonZeroUsize>,

    /// Share of a tile that overlaps its neighbour, 0..0.9 [default: 0.25]. With 0 the edges of tiles may be visible in
    /// the map
    #[arg(long, value_name = "F", value_parser = parse_overlap, help_heading = "High resolution")]
    pub overlap: Option<Overlap>,

    /// Where to compute: cpu, cuda, cuda:N or metal
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub device: DeviceChoice,

    /// Number type of the image tower: f32, bf16, int8, f16 (GPUs only), or auto (bf16 where the hardware has
    /// it). bf16 and int8 are faster and change scores a little
    #[arg(long, value_name = "PRECISION", default_value = "f32")]
    pub precision: PrecisionChoice,

    /// Largest picture that is decoded, in millions of pixels
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=4096))]
    pub max_megapixels: u64,

    /// Values of samples of more than 8 bits that become black and white: auto, full, reference or MIN:MAX
    ///
    /// auto: the range named in the file, or of its bit depth. In 16, 32 and 64 bits the largest value decides, rounded up
    /// to the next of 10, 12, 14, 16, 18, ... bits; floats use 0 to 1 if all values lie there, else 0 to 255, else the
    /// picture is refused. What was assumed is a warning and in the field `decoding` of the record. Give MIN:MAX if all
    /// pictures of a camera must be treated alike.
    ///
    /// full: the whole range of the type. reference: as the reference reads them: grey values above 255 become white, of
    /// colours the high byte is kept.
    #[arg(long, value_name = "RANGE", default_value = "auto", allow_hyphen_values = true)]
    pub range: SampleRange,

    /// Memory that pictures in flight share, in megabytes; one larger picture is processed alone [default: a quarter of what
    /// the process may use]
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_memory: Option<u64>,

    /// The EXIF orientation of pictures: turn them upright, or take their rows as they are stored, as the references do.
    /// For data sets whose masks were drawn in the stored grid
    #[arg(long, value_enum, default_value_t = OrientationName::Apply)]
    pub orientation: OrientationName,
}

names!(ActivationName => Activation {
    /// The exact GELU (LAION's models)
    Gelu => Activation::Gelu,
    /// x * sigmoid(1.702 x) (OpenAI's models)
    QuickGelu => Activation::QuickGelu,
});
names!(FitName => Fit {
    /// Stretch both sides, as the papers do
    Squash => Fit::Squash,
    /// Cut the longer side; the part that is cut off is not examined
    Crop => Fit::Crop,
    #[value(alias = "pad")]
    /// Keep the shape: as many patches as the square has, nothing cut or filled
    Keep => Fit::Keep,
    /// Fit the shorter side, cut less than a patch of the longer one (reference's way)
    Shorter => Fit::Shorter,
    /// Squares of the shorter side along the longer one (see --tile), the whole picture keeping its shape
    Tile => Fit::Keep,
});
names!(OrientationName => OrientationRule {
    /// Upright
    Apply => OrientationRule::Apply,
    /// As stored
    Ignore => OrientationRule::Ignore,
});

impl DetectorArgs {
    /// The settings of a detector.
    ///
    /// # Errors
    /// Flags contradict each other or have no effect, or the device does not exist.
    pub fn builder(&self, progress: Progress) -> Result<DetectorBuilder> {
        let builder = DetectorBuilder::new(self.model.as_deref())
            .image_size(self.image_size)
            .fit(self.fit.map(Into::into))
            .tiling(self.tiling()?)
            .activation(self.activation.map(Into::into))
            .device(self.device.open()?)
            .precision(self.precision)
            .cache(if self.no_cache { AnchorCache::disabled() } else { AnchorCache::new() })
            .references(self.references()?)
            .progress(progress);
        let builder = match &self.adapters {
            Some(path) => builder.checkpoint(path),
            None => builder,
        };
        Ok(self.method.apply(builder))
    }

    /// The pictures of `--reference`.
    fn references(&self) -> Result<References> {
        let found = inputs::expand(&self.reference, false, std::io::empty());
        inputs::report_passed(&found.listing);
        if let Some(problem) = found.problems.into_iter().next() {
            return Err(Error::Setting(format!("--reference: {problem}")));
        }
        let files: Vec<PathBuf> = (found.listing.iter())
            .map(|input| {
                let input = input.map_err(|problem| Error::Setting(format!("--reference: {problem}")))?;
                Ok(input.path)
            })
            .collect::<Result<_>>()?;
        if files.is_empty() && !self.reference.is_empty() {
            return Err(Error::Setting("--reference: no picture was found".to_owned()));
        }
        Ok(References::files(files, self.decode_options()))
    }

    /// How large pictures are split into tiles.
    ///
    /// # Errors
    /// Flags contradict each other or have no effect.
    pub fn tiling(&self) -> Result<Option<Tiling>> {
        let side = match (self.tile, self.fit) {
            (Some(_), Some(FitName::Tile)) => {
                return Err(Error::Setting(
                    "--fit tile takes tiles of the picture's shorter side: leave out --tile, or choose another --fit"
                        .to_owned(),
                ));
            }
            (Some(side), _) => TileSide::Pixels(side),
            (None, Some(FitName::Tile)) => TileSide::Short,
            (None, _) if self.overlap.is_some() => {
                return Err(Error::Setting(
                    "--overlap has no effect without --tile or --fit tile".to_owned(),
                ));
            }
            (None, _) => return Ok(None),
        };
        Ok(Some(Tiling { side, overlap: self.overlap.unwrap_or_default() }))
    }

    /// The memory of pictures in flight.
    pub fn memory(&self) -> MemoryBound {
        self.max_memory.map_or_else(MemoryBound::default, |mb| MemoryBound::new(mb.saturating_mul(1_000_000)))
    }

    pub fn decode_options(&self) -> DecodeOptions {
        let mut options = DecodeOptions::default();
        options.limits.max_pixels = self.max_megapixels * 1_000_000;
        options.range = self.range;
        options.orientation = self.orientation.into();
        options
    }
}

fn parse_overlap(text: &str) -> Result<Overlap, String> {
    let refused = || format!("expected a number from 0 to {}", Overlap::MAX);
    text.parse().ok().and_then(Overlap::new).ok_or_else(refused)
}

/// The smallest useful tile: about one patch.
const SMALLEST_TILE: usize = 16;

fn parse_tile(text: &str) -> Result<NonZeroUsize, String> {
    let side = text.parse::<NonZeroUsize>().ok().filter(|n| n.get() >= SMALLEST_TILE);
    side.ok_or_else(|| format!("expected a number of pixels, at least {SMALLEST_TILE}"))
}

pub fn parse_image_size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=Setup::LARGEST_IMAGE) => Ok(n),
        _ => Err(format!("expected a number of pixels from 1 to {}", Setup::LARGEST_IMAGE)),
    }
}
