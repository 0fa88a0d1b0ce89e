//! Decodes pictures. The limits apply before memory is allocated.

use std::io::{Cursor, Read};
use std::ops::Range;
use std::path::Path;

use ::image::metadata::Orientation;
use ::image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};

use super::ImageError;
use super::decoding::Decoding;
use super::mode::PixelMode;
use super::wide::{SampleKind, SampleRange, Wide, WideSamples};
use super::{foreign, orientation, paged};
use crate::files::Stamp;
use crate::guard::guarded;

/// Bytes that a decoder may use for everything except pixels.
const DECODER_TABLES: u64 = 64 << 20;

/// Size limits for pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodeLimits {
    /// Largest number of pixels.
    pub max_pixels: u64,
    /// Largest number of bytes, for the file and for the decoded picture.
    pub max_bytes: u64,
}

impl DecodeLimits {
    /// # Errors
    /// A picture of this size, with samples of this many bytes, is too large.
    pub(super) fn check(
        &self,
        name: &Path,
        (width, height): (u32, u32),
        bytes: u64,
    ) -> Result<(), ImageError> {
        let pixels = u64::from(width) * u64::from(height);
        if pixels <= self.max_pixels && bytes <= self.max_bytes {
            return Ok(());
        }
        Err(ImageError::TooLarge {
            path: name.to_owned(),
            width,
            height,
            megapixels: pixels.div_ceil(1_000_000),
            allowed: self.max_pixels / 1_000_000,
        })
    }
}

impl Default for DecodeLimits {
    /// 256 megapixels and 4 GiB: enough for a long line-scan picture, too little for a decompression bomb.
    fn default() -> Self {
        Self { max_pixels: 256_000_000, max_bytes: 4 << 30 }
    }
}

/// Whether the orientation in a file's EXIF data is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OrientationRule {
    /// The picture is turned upright.
    #[default]
    Apply,
    /// The picture stays as its rows are stored, as the references read it.
    Ignore,
}

/// Settings for decoding.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct DecodeOptions {
    /// Size limits.
    pub limits: DecodeLimits,
    /// Which values of samples of more than 8 bits become black and white.
    pub range: SampleRange,
    /// The page, counted from 0, of a file with several; other formats have one.
    pub page: usize,
    /// Whether the EXIF orientation is applied.
    pub orientation: OrientationRule,
}

impl DecodeOptions {
    /// The same for a mask: every value except 0 stays different from 0.
    pub fn for_mask(self) -> Self {
        Self { range: SampleRange::NonZero, page: 0, ..self }
    }
}

/// A decoded picture, upright, with 8-bit samples in the channels of its mode.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    width: usize,
    height: usize,
    mode: PixelMode,
    samples: Vec<u8>,
    decoding: Decoding,
}

impl Picture {
    /// A picture from samples, row by row, pixels interleaved; `None` if the number of samples does not fit
    /// the size.
    pub fn new(width: usize, height: usize, mode: PixelMode, samples: Vec<u8>) -> Option<Self> {
        let expected = width.checked_mul(height)?.checked_mul(mode.channels())?;
        (samples.len() == expected).then_some(Self {
            width,
            height,
            mode,
            samples,
            decoding: Decoding::default(),
        })
    }

    /// Pixels in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    pub(super) fn with(self, decoding: Decoding) -> Self {
        Self { decoding, ..self }
    }

    /// How the file was decoded.
    pub fn decoding(&self) -> &Decoding {
        &self.decoding
    }

    /// The pixel mode of the file.
    pub fn mode(&self) -> PixelMode {
        self.mode
    }

    /// The samples, row by row, pixels interleaved.
    pub fn samples(&self) -> &[u8] {
        &self.samples
    }

    /// The square of `side` x `side` pixels with its upper left pixel at `(x, y)`, cut to the picture.
    pub fn square(&self, x: usize, y: usize, side: usize) -> Self {
        let (left, top) = (x.min(self.width), y.min(self.height));
        let (width, height) = (side.min(self.width - left), side.min(self.height - top));
        let channels = self.mode.channels();
        let mut samples = Vec::with_capacity(width * height * channels);
        for row in top..top + height {
            let start = (row * self.width + left) * channels;
            samples.extend_from_slice(&self.samples[start..start + width * channels]);
        }
        Self { width, height, mode: self.mode, samples, decoding: self.decoding.clone() }
    }

    /// Pillow's `convert("RGB")`: grey is repeated, alpha is dropped.
    pub fn to_rgb(&self) -> RgbImage {
        self.rgb_rows(0..self.height)
    }

    /// [`Self::to_rgb`] of some rows; rows below the picture are left out.
    pub fn rgb_rows(&self, rows: Range<usize>) -> RgbImage {
        let end = rows.end.min(self.height);
        let start = rows.start.min(end);
        let stride = self.width * self.mode.channels();
        let samples = to_rgb_samples(&self.samples[start * stride..end * stride], self.mode);
        RgbImage::from_raw(self.width as u32, (end - start) as u32, samples).unwrap_or_default()
    }
}

impl Picture {
    /// Pillow's `convert("L")`: one sample per pixel, colours by luma, alpha dropped.
    pub fn to_grey(&self) -> Vec<u8> {
        match self.mode {
            PixelMode::Gray | PixelMode::Bilevel => self.samples.clone(),
            PixelMode::GrayAlpha => self.samples.as_chunks::<2>().0.iter().map(|p| p[0]).collect(),
            _ => {
                let luma = |&[r, g, b]: &[u8; 3]| {
                    ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16) as u8
                };
                to_rgb_samples(&self.samples, self.mode).as_chunks::<3>().0.iter().map(luma).collect()
            }
        }
    }
}

/// `convert("RGB")` on interleaved samples.
pub(super) fn to_rgb_samples(samples: &[u8], mode: PixelMode) -> Vec<u8> {
    match mode {
        PixelMode::Rgb | PixelMode::Palette => samples.to_vec(),
        PixelMode::Gray | PixelMode::Bilevel => samples.iter().flat_map(|&v| [v; 3]).collect(),
        PixelMode::GrayAlpha => samples.as_chunks::<2>().0.iter().flat_map(|&[v, _]| [v; 3]).collect(),
        PixelMode::Rgba => samples.as_chunks::<4>().0.iter().flat_map(|&[r, g, b, _]| [r, g, b]).collect(),
    }
}

/// Reads and decodes a picture file. The format is detected from the content; the EXIF orientation is applied;
/// of an animation only the first frame is decoded.
///
/// # Errors
/// The file cannot be read, is not a picture, is damaged or cut off, or exceeds the limits.
pub fn decode(path: &Path, options: &DecodeOptions) -> Result<Picture, ImageError> {
    decode_bytes(&read(path, &options.limits)?.bytes, path, options)
}

/// The undecoded content of a picture file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureFile {
    /// The content.
    pub bytes: Vec<u8>,
    /// The file's state before it was read.
    pub stamp: Stamp,
}

/// Reads a file without checking that its content is a picture.
///
/// # Errors
/// The file cannot be read, is not a regular file, or exceeds the limits.
pub fn read(path: &Path, limits: &DecodeLimits) -> Result<PictureFile, ImageError> {
    let io = |source| ImageError::Io { path: path.to_owned(), source };
    // Checked before the file is opened, because opening a pipe waits for its writer. Files handed over by a
    // shell are read.
    let handed_over = ["/dev/fd", "/proc/self/fd", "/dev/stdin"].iter().any(|place| path.starts_with(place));
    if !handed_over && !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(ImageError::NotAFile { path: path.to_owned() });
    }
    let file = std::fs::File::open(path).map_err(io)?;
    let stamp = Stamp::of(&file.metadata().map_err(io)?);
    let allowed = limits.max_bytes;
    let too_large = |bytes| ImageError::FileTooLarge { path: path.to_owned(), bytes, allowed };
    if stamp.bytes > allowed {
        return Err(too_large(stamp.bytes));
    }
    let mut bytes = Vec::new();
    // The growth of a vector needs more memory than the file.
    let _ = bytes.try_reserve_exact(usize::try_from(stamp.bytes).unwrap_or(0));
    file.take(allowed.saturating_add(1)).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > allowed {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(PictureFile { bytes, stamp })
}

/// Decodes a picture in memory; errors name it `name`.
///
/// # Errors
/// As [`decode`].
pub fn decode_bytes(bytes: &[u8], name: &Path, options: &DecodeOptions) -> Result<Picture, ImageError> {
    if bytes.is_empty() {
        return Err(ImageError::Empty { path: name.to_owned() });
    }
    if let Some(picture) = paged::decode(bytes, name, options) {
        return picture;
    }
    let not_a_picture = || match foreign::format(bytes) {
        Some(format) => ImageError::NotRead { path: name.to_owned(), format },
        None => ImageError::NotAPicture { path: name.to_owned() },
    };
    let format = ::image::guess_format(bytes).map_err(|_| not_a_picture())?;
    let label = label(format).ok_or_else(not_a_picture)?;
    // Some decoders give reasons of several lines.
    let one_line = |reason: String| reason.split_whitespace().collect::<Vec<_>>().join(" ");
    let damaged = |reason: String| ImageError::Damaged {
        path: name.to_owned(),
        format: label,
        reason: one_line(reason),
    };

    if format == ImageFormat::WebP && !webp_is_whole(bytes) {
        return Err(damaged("the file ends before the end of the picture".to_owned()));
    }
    // A decoder that panics on one picture must not end the run.
    guarded(|| decode_as(format, bytes, name, options, &damaged))
        .unwrap_or_else(|| Err(damaged("the decoder failed".to_owned())))
}

fn decode_as(
    format: ImageFormat,
    bytes: &[u8],
    name: &Path,
    options: &DecodeOptions,
    damaged: &dyn Fn(String) -> ImageError,
) -> Result<Picture, ImageError> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    // The PNG decoder already unpacks the colour profile and texts here, whatever the size of the picture.
    // Decoders of other formats receive their limits later.
    let mut limits = ::image::Limits::no_limits();
    limits.max_alloc = (format == ImageFormat::Png).then_some(DECODER_TABLES);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(|e| damaged(e.to_string()))?;
    // The image crate has no limit for the whole picture; this check uses the size in the header.
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(damaged(format!("it has {width} x {height} pixels")));
    }
    options.limits.check(name, (width, height), decoder.total_bytes())?;
    // A decoder needs no more extra memory than the picture itself; tiles and frames may claim more.
    limits.max_alloc = Some(decoder.total_bytes().saturating_mul(2).saturating_add(DECODER_TABLES));
    decoder.set_limits(limits).map_err(|e| damaged(e.to_string()))?;
    let turn = options.orientation == OrientationRule::Apply;
    let orientation = if turn { stored_orientation(format, bytes, &mut decoder) } else { None };
    let mode = PixelMode::of(format, bytes, decoder.color_type(), decoder.original_color_type());
    let image = DynamicImage::from_decoder(decoder).map_err(|e| damaged(e.to_string()))?;
    let mut decoding = Decoding::default();
    let mut image = eight_bits(image, mode, options.range, &mut decoding).map_err(damaged)?;
    if let Some(orientation) = orientation {
        image.apply_orientation(orientation);
        decoding.orientation = orientation.to_exif();
    }
    let (width, height) = (image.width() as usize, image.height() as usize);
    Picture::new(width, height, mode, samples(image, mode))
        .map(|picture| picture.with(decoding))
        .ok_or_else(|| damaged("its rows do not have the announced length".to_owned()))
}

/// The orientation in the file.
fn stored_orientation(
    format: ImageFormat,
    bytes: &[u8],
    decoder: &mut impl ImageDecoder,
) -> Option<Orientation> {
    // The decoder of PNG has not seen what comes after the pixels.
    if format == ImageFormat::Png { orientation::of_png(bytes) } else { decoder.orientation().ok() }
}

/// A picture of 16 bits per sample as one of 8 bits, without an alpha that the mode does not have.
fn eight_bits(
    image: DynamicImage,
    mode: PixelMode,
    range: SampleRange,
    decoding: &mut Decoding,
) -> Result<DynamicImage, String> {
    let (width, height) = (image.width(), image.height());
    let (values, found) = match image {
        DynamicImage::ImageLuma16(image) => (image.into_raw(), 1),
        DynamicImage::ImageLumaA16(image) => (image.into_raw(), 2),
        DynamicImage::ImageRgb16(image) => (image.into_raw(), 3),
        DynamicImage::ImageRgba16(image) => (image.into_raw(), 4),
        image => return Ok(image),
    };
    let channels = mode.channels().min(found);
    let values = if channels == found {
        values
    } else {
        values.chunks_exact(found).flat_map(|pixel| &pixel[..channels]).copied().collect()
    };
    let kind = SampleKind::Unsigned;
    let colours = channels - usize::from(channels.is_multiple_of(2));
    let wide = WideSamples { values: Wide::U16(values), channels, colours, bits: 16, kind, declared: None };
    let narrowed = wide.narrow(range)?;
    decoding.depth = 16;
    decoding.range = narrowed.range;
    narrowed.warning.into_iter().for_each(|warning| decoding.warn(warning));
    as_image(width, height, channels, narrowed.samples)
        .ok_or_else(|| "its rows do not have the announced length".to_owned())
}

/// 8-bit samples as an image.
pub(super) fn as_image(width: u32, height: u32, channels: usize, samples: Vec<u8>) -> Option<DynamicImage> {
    use ::image::ImageBuffer;
    Some(match channels {
        1 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLuma8)?,
        2 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLumaA8)?,
        3 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgb8)?,
        _ => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgba8)?,
    })
}

fn label(format: ImageFormat) -> Option<&'static str> {
    match format {
        ImageFormat::Png => Some("PNG"),
        ImageFormat::WebP => Some("WebP"),
        ImageFormat::Bmp => Some("BMP"),
        ImageFormat::Gif => Some("GIF"),
        _ => None,
    }
}

/// The samples in the channels of `mode`, of an image of 8 bits.
fn samples(image: DynamicImage, mode: PixelMode) -> Vec<u8> {
    match (mode, image) {
        (PixelMode::Gray | PixelMode::Bilevel, DynamicImage::ImageLuma8(image)) => image.into_raw(),
        (PixelMode::Gray | PixelMode::Bilevel, DynamicImage::ImageLumaA8(image)) => {
            image.pixels().map(|p| p.0[0]).collect()
        }
        // A grey palette is decoded as colours that are all grey.
        (PixelMode::Gray | PixelMode::Bilevel, image) => image.into_rgb8().pixels().map(|p| p.0[0]).collect(),
        (PixelMode::GrayAlpha, image) => image.into_luma_alpha8().into_raw(),
        (PixelMode::Rgb | PixelMode::Palette, image) => image.into_rgb8().into_raw(),
        (PixelMode::Rgba, image) => image.into_rgba8().into_raw(),
    }
}

/// What the head of a picture file says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Pixels in a row, as stored.
    pub width: usize,
    /// Rows, as stored.
    pub height: usize,
    /// The EXIF orientation, 1 to 8; 1 is upright as stored.
    pub orientation: u8,
}

/// Reads the head of a picture file without decoding its pixels; `None` if it is not a picture.
pub fn head(bytes: &[u8]) -> Option<Head> {
    if let Some(head) = paged::head(bytes) {
        return Some(head);
    }
    guarded(|| {
        let format = ::image::guess_format(bytes).ok()?;
        let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
        let mut limits = ::image::Limits::no_limits();
        limits.max_alloc = Some(DECODER_TABLES);
        reader.limits(limits);
        let mut decoder = reader.into_decoder().ok()?;
        let (width, height) = decoder.dimensions();
        let orientation = stored_orientation(format, bytes, &mut decoder).map_or(1, Orientation::to_exif);
        Some(Head { width: width as usize, height: height as usize, orientation })
    })?
}

/// Whether a WebP file has at least the length given in its header.
fn webp_is_whole(bytes: &[u8]) -> bool {
    let promised = bytes.get(4..8).and_then(|b| b.first_chunk::<4>()).map(|b| u32::from_le_bytes(*b));
    promised.is_some_and(|n| bytes.len() as u64 >= u64::from(n) + 8)
}
