//! What the fields of a directory say about a picture, checked.

use super::compression::Compression;
use super::directory::{Directory, File, Order, Refused};
use crate::image::wide::SampleKind;

mod tag {
    pub const SUBFILE: u16 = 254;
    pub const WIDTH: u16 = 256;
    pub const HEIGHT: u16 = 257;
    pub const BITS: u16 = 258;
    pub const COMPRESSION: u16 = 259;
    pub const PHOTOMETRIC: u16 = 262;
    pub const FILL_ORDER: u16 = 266;
    pub const DESCRIPTION: u16 = 270;
    pub const STRIP_OFFSETS: u16 = 273;
    pub const ORIENTATION: u16 = 274;
    pub const SAMPLES: u16 = 277;
    pub const ROWS_PER_STRIP: u16 = 278;
    pub const STRIP_BYTES: u16 = 279;
    pub const PLANAR: u16 = 284;
    pub const T4_OPTIONS: u16 = 292;
    pub const PREDICTOR: u16 = 317;
    pub const COLOUR_MAP: u16 = 320;
    pub const TILE_WIDTH: u16 = 322;
    pub const TILE_HEIGHT: u16 = 323;
    pub const TILE_OFFSETS: u16 = 324;
    pub const TILE_BYTES: u16 = 325;
    pub const SUB_DIRECTORIES: u16 = 330;
    pub const INK_SET: u16 = 332;
    pub const EXTRA_SAMPLES: u16 = 338;
    pub const SAMPLE_FORMAT: u16 = 339;
    pub const LOWEST: u16 = 340;
    pub const HIGHEST: u16 = 341;
    pub const JPEG_TABLES: u16 = 347;
    pub const COEFFICIENTS: u16 = 529;
    pub const SUBSAMPLING: u16 = 530;
    pub const BLACK_WHITE: u16 = 532;
    pub const DEPTH: u16 = 32_997;
    pub const DNG_VERSION: u16 = 50_706;
}

/// What the colour samples mean.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Colour {
    WhiteIsZero,
    BlackIsZero,
    Rgb,
    /// The colours, three bytes each.
    Palette(Vec<[u8; 3]>),
    Cmyk,
    YCbCr(YCbCr),
}

/// Luma and colour differences.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct YCbCr {
    /// Pixels that share a colour, across and down.
    pub shared: (usize, usize),
    /// The weights of red, green and blue in luma.
    pub luma: [f64; 3],
    /// The values of black and white of the three samples.
    pub ends: [[f64; 2]; 3],
}

/// What the first sample after the colours is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alpha {
    None,
    Straight,
    /// The colours are multiplied by it.
    Premultiplied,
}

/// Everything about a page except its samples.
#[derive(Debug, Clone)]
pub(super) struct Layout<'a> {
    pub width: usize,
    pub height: usize,
    pub samples: usize,
    pub bits: u32,
    pub kind: SampleKind,
    pub colour: Colour,
    pub alpha: Alpha,
    pub planar: bool,
    pub compression: Compression,
    pub predictor: u64,
    /// Whether the lowest bit of a byte is its first.
    pub reversed: bool,
    pub chunks: Chunks,
    pub t4_options: u64,
    pub jpeg_tables: Option<&'a [u8]>,
    pub declared: Option<(f64, f64)>,
    pub orientation: u8,
    /// Whether the colours are stored as inks in JPEG data, which becomes RGB.
    pub inks: bool,
}

/// The strips or tiles.
#[derive(Debug, Clone)]
pub(super) struct Chunks {
    pub width: usize,
    pub height: usize,
    pub tiled: bool,
    pub offsets: Vec<u64>,
    /// Their lengths; `None`: unknown.
    pub lengths: Option<Vec<u64>>,
}

/// Pages that are pictures of their own: no reduced copies, no masks.
pub(super) fn is_page(directory: &Directory<'_>) -> bool {
    directory.number(tag::SUBFILE).is_none_or(|kind| kind & 0b101 == 0)
}

/// Pictures behind the directory of an ImageJ stack, which has one directory for all.
pub(super) fn stacked(directory: &Directory<'_>) -> Option<usize> {
    let text = std::str::from_utf8(directory.raw(tag::DESCRIPTION)?).ok()?;
    let count = text.strip_prefix("ImageJ=")?.lines().find_map(|line| line.strip_prefix("images="))?;
    count.trim().parse().ok()
}

/// The reason why a file with this first directory is not a picture but a camera's data.
pub(super) fn camera(directory: &Directory<'_>) -> Option<Refused> {
    let photometric = directory.number(tag::PHOTOMETRIC);
    let raw = directory.has(tag::DNG_VERSION) || matches!(photometric, Some(32_803 | 34_892));
    // Cameras put a small copy first, and their data into other directories.
    let copy = !is_page(directory) && directory.has(tag::SUB_DIRECTORIES);
    (raw || copy).then(|| "raw camera data is not read; convert it to an ordinary TIFF or PNG".to_owned())
}

impl<'a> Layout<'a> {
    /// # Errors
    /// A field is missing, contradicts another one, or asks for what is not read.
    pub fn read(file: &File<'a>, directory: &Directory<'a>) -> Result<Self, Refused> {
        let d = directory;
        let side = |tag, name: &str| match d.number(tag).map(u32::try_from) {
            Some(Ok(side)) if side > 0 => Ok(side as usize),
            _ => Err(format!("its {name} is missing or impossible")),
        };
        let (width, height) = (side(tag::WIDTH, "width")?, side(tag::HEIGHT, "height")?);
        if d.number(tag::DEPTH).is_some_and(|depth| depth > 1) {
            return Err("volumes are not read".to_owned());
        }
        let samples = d.number(tag::SAMPLES).unwrap_or(1);
        let samples = usize::try_from(samples).ok().filter(|n| (1..=4096).contains(n));
        let samples = samples.ok_or("its number of samples per pixel is impossible")?;
        let bits = same(d.numbers(tag::BITS).unwrap_or_else(|| vec![1]), "numbers of bits")?;
        let kind = match same(d.numbers(tag::SAMPLE_FORMAT).unwrap_or_else(|| vec![1]), "types")? {
            1 | 4 => SampleKind::Unsigned,
            2 => SampleKind::Signed,
            3 => SampleKind::Float,
            other => return Err(format!("samples of type {other} are not read")),
        };
        let bits = match (kind, bits) {
            (SampleKind::Float, 16 | 32 | 64) | (SampleKind::Signed, 8 | 16 | 32 | 64) => bits as u32,
            (SampleKind::Unsigned, 1..=32 | 64) => bits as u32,
            _ => return Err(format!("{} samples of {bits} bits are not read", kind.name())),
        };
        let compression = Compression::of(d.number(tag::COMPRESSION).unwrap_or(1))?;
        let colour = colour(d, samples, bits, kind, &compression)?;
        let planar = match d.number(tag::PLANAR).unwrap_or(1) {
            1 => false,
            2 => samples > 1,
            other => return Err(format!("the planar configuration {other} does not exist")),
        };
        let extras = d.numbers(tag::EXTRA_SAMPLES);
        let alpha = match (samples > colour.samples(), extras.as_deref()) {
            (false, _) => Alpha::None,
            // Some writers leave the field out where it says "alpha".
            (true, None) if samples == 4 && colour == Colour::Rgb => Alpha::Straight,
            (true, Some([1, ..])) => Alpha::Premultiplied,
            (true, Some([2 | 999, ..])) => Alpha::Straight,
            (true, _) => Alpha::None,
        };
        let predictor = d.number(tag::PREDICTOR).unwrap_or(1);
        let layout = Self {
            width,
            height,
            samples,
            bits,
            kind,
            alpha,
            planar,
            predictor,
            reversed: d.number(tag::FILL_ORDER) == Some(2),
            chunks: chunks(d, width, height)?,
            t4_options: d.number(tag::T4_OPTIONS).unwrap_or(0),
            jpeg_tables: d.raw(tag::JPEG_TABLES),
            declared: ends(d, kind),
            orientation: d.number(tag::ORIENTATION).and_then(|o| u8::try_from(o).ok()).unwrap_or(1),
            inks: false,
            colour,
            compression,
        };
        layout.check(file)?;
        Ok(layout.decoded())
    }

    /// The layout of what the decoder of JPEG makes of inks: RGB.
    fn decoded(self) -> Self {
        if self.compression == Compression::Jpeg && self.colour == Colour::Cmyk && !self.planar {
            return Self { samples: 3, colour: Colour::Rgb, inks: true, ..self };
        }
        self
    }

    /// What is left: combinations.
    fn check(&self, file: &File<'_>) -> Result<(), Refused> {
        let refuse = |what: String| Err(what);
        let Self { compression, bits, .. } = self;
        let predicts = compression.may_predict();
        match (self.predictor, self.kind) {
            (1, _) => {}
            (_, _) if !predicts => {
                return refuse(format!("a predictor with {} compression is not read", compression.name()));
            }
            (2, _) if matches!(bits, 8 | 16 | 32 | 64) => {}
            // Writers do not agree where the lowest bytes of big-endian numbers are.
            (3, SampleKind::Float) if file.order == Order::Little => {}
            (3, SampleKind::Float) => {
                return refuse("predictor 3 in big-endian order is not read".to_owned());
            }
            (other, _) => return refuse(format!("predictor {other} of {bits}-bit samples is not read")),
        }
        match compression {
            Compression::Fax(_) if *bits != 1 || (self.samples > 1 && !self.planar) => {
                return refuse("fax compression of more than one bit per pixel is not read".to_owned());
            }
            Compression::Jpeg if *bits != 8 || self.kind != SampleKind::Unsigned => {
                return refuse(format!("JPEG compression of {bits}-bit samples is not read"));
            }
            Compression::Jpeg if !self.planar && self.samples != self.colour.samples() => {
                return refuse("JPEG compression of extra samples is not read".to_owned());
            }
            _ => {}
        }
        if matches!(self.colour, Colour::YCbCr(_))
            && (*bits != 8 || self.samples != 3 || self.predictor != 1 || self.planar)
        {
            return refuse("this form of YCbCr is not read".to_owned());
        }
        let planes = if self.planar { self.samples } else { 1 };
        let (across, down) = self.grid();
        let wanted = across.checked_mul(down).and_then(|n| n.checked_mul(planes));
        if wanted.is_none_or(|wanted| self.chunks.offsets.len() < wanted || wanted > file.bytes.len()) {
            return refuse(format!("it lists {} of its strips or tiles only", self.chunks.offsets.len()));
        }
        Ok(())
    }

    /// Strips or tiles across and down.
    pub fn grid(&self) -> (usize, usize) {
        (self.width.div_ceil(self.chunks.width), self.height.div_ceil(self.chunks.height))
    }

    /// Samples per pixel in a strip or tile.
    pub fn interleaved(&self) -> usize {
        if self.planar { 1 } else { self.samples }
    }

    /// Samples per pixel that make the picture: colours, and alpha.
    pub fn kept(&self) -> usize {
        self.colour.samples() + usize::from(self.alpha != Alpha::None)
    }
}

impl Colour {
    /// Samples of a colour.
    pub fn samples(&self) -> usize {
        match self {
            Self::WhiteIsZero | Self::BlackIsZero | Self::Palette(_) => 1,
            Self::Rgb | Self::YCbCr(_) => 3,
            Self::Cmyk => 4,
        }
    }
}

/// The one value of a field that has a value per sample.
fn same(values: Vec<u64>, what: &str) -> Result<u64, Refused> {
    match values.split_first() {
        Some((first, rest)) if rest.iter().all(|value| value == first) => Ok(*first),
        _ => Err(format!("its samples have different {what}")),
    }
}

/// The values of black and white that the file names.
fn ends(d: &Directory<'_>, kind: SampleKind) -> Option<(f64, f64)> {
    let low = d.reals(tag::LOWEST).unwrap_or_default().into_iter().reduce(f64::min);
    let high = d.reals(tag::HIGHEST)?.into_iter().reduce(f64::max)?;
    let low = low.or((kind == SampleKind::Unsigned).then_some(0.0))?;
    (low < high && low.is_finite() && high.is_finite()).then_some((low, high))
}

fn colour(
    d: &Directory<'_>,
    samples: usize,
    bits: u32,
    kind: SampleKind,
    compression: &Compression,
) -> Result<Colour, Refused> {
    let photometric = match d.number(tag::PHOTOMETRIC) {
        Some(photometric) => photometric,
        None if matches!(compression, Compression::Fax(_)) => 0,
        None => return Err("it does not say what its colours mean".to_owned()),
    };
    let colour = match photometric {
        0 => Colour::WhiteIsZero,
        1 => Colour::BlackIsZero,
        2 => Colour::Rgb,
        3 if bits <= 8 && kind == SampleKind::Unsigned => {
            let values = d.numbers(tag::COLOUR_MAP).unwrap_or_default();
            let count = 1 << bits;
            if values.len() < 3 * count {
                return Err("its palette is cut off".to_owned());
            }
            // Values have 16 bits; some writers put 8 bits there.
            let shift = if values.iter().all(|&v| v < 256) { 0 } else { 8 };
            let at = |i: usize| values.get(i).map_or(0, |v| (v >> shift) as u8);
            Colour::Palette((0..count).map(|i| [at(i), at(count + i), at(2 * count + i)]).collect())
        }
        5 if d.number(tag::INK_SET).is_none_or(|set| set == 1) => Colour::Cmyk,
        6 if samples == 1 => Colour::BlackIsZero,
        6 => Colour::YCbCr(ycbcr(d)),
        3 => return Err(format!("a palette of {bits}-bit samples is not read")),
        5 => return Err("inks other than cyan, magenta, yellow and black are not read".to_owned()),
        8..=10 => return Err("colours in CIE L*a*b* are not read".to_owned()),
        4 => return Err("a transparency mask is not a picture".to_owned()),
        32_844 | 32_845 => return Err("colours in LogLuv are not read".to_owned()),
        other => return Err(format!("colours of kind {other} are not read")),
    };
    if samples < colour.samples() {
        return Err(format!("it has {samples} samples per pixel, its colours need {}", colour.samples()));
    }
    Ok(colour)
}

fn ycbcr(d: &Directory<'_>) -> YCbCr {
    let shared = d.numbers(tag::SUBSAMPLING).unwrap_or_default();
    let side = |i: usize| shared.get(i).copied().filter(|n| matches!(n, 1 | 2 | 4)).unwrap_or(2) as usize;
    let luma = d.reals(tag::COEFFICIENTS).and_then(|v| <[f64; 3]>::try_from(v).ok());
    let ends = d.reals(tag::BLACK_WHITE).filter(|v| v.len() == 6);
    let pair = |i: usize, otherwise: [f64; 2]| match ends.as_deref().and_then(|v| v.get(2 * i..2 * i + 2)) {
        Some(&[low, high]) if low < high => [low, high],
        _ => otherwise,
    };
    YCbCr {
        shared: (side(0), side(1)),
        luma: luma.filter(|v| v.iter().all(|v| (0.01..1.0).contains(v))).unwrap_or([0.299, 0.587, 0.114]),
        ends: [pair(0, [0.0, 255.0]), pair(1, [128.0, 255.0]), pair(2, [128.0, 255.0])],
    }
}

fn chunks(d: &Directory<'_>, width: usize, height: usize) -> Result<Chunks, Refused> {
    let side = |tag| d.number(tag).and_then(|n| usize::try_from(n).ok()).filter(|&n| n > 0);
    let tiled = d.has(tag::TILE_WIDTH);
    let ((width, height), offsets, lengths) = if tiled {
        let sides = side(tag::TILE_WIDTH).zip(side(tag::TILE_HEIGHT));
        // Old writers use the fields of strips.
        let offsets = d.numbers(tag::TILE_OFFSETS).or_else(|| d.numbers(tag::STRIP_OFFSETS));
        let lengths = d.numbers(tag::TILE_BYTES).or_else(|| d.numbers(tag::STRIP_BYTES));
        (sides.ok_or("the size of its tiles is impossible")?, offsets, lengths)
    } else {
        let rows = side(tag::ROWS_PER_STRIP).unwrap_or(height).min(height);
        ((width, rows), d.numbers(tag::STRIP_OFFSETS), d.numbers(tag::STRIP_BYTES))
    };
    let offsets = offsets.ok_or("it does not say where its strips or tiles are")?;
    // Some writers leave the lengths out, or write zeros.
    let lengths = lengths.filter(|all| all.len() >= offsets.len() && all.iter().any(|&length| length > 0));
    if lengths.is_none() && offsets.len() > 1 {
        return Err("it does not say how long its strips or tiles are".to_owned());
    }
    Ok(Chunks { width, height, tiled, offsets, lengths })
}
