//! Decodes pictures. The limits apply before memory is allocated.

use std::io::{Cursor, Read};
use std::path::Path;

use ::image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};

use super::ImageError;
use super::decoding::Decoding;
use super::mode::PixelMode;
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

impl Default for DecodeLimits {
    /// 256 megapixels and 4 GiB: enough for a long line-scan picture, too little for a decompression bomb.
    fn default() -> Self {
        Self { max_pixels: 256_000_000, max_bytes: 4 << 30 }
    }
}

/// How 16-bit grey samples become 8-bit samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Gray16 {
    /// Values above 255 become 255, as in Pillow's `convert("RGB")`, which the reference calls.
    #[default]
    Clip,
    /// Keeps the high byte.
    Scale,
}

/// Settings for decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DecodeOptions {
    /// Size limits.
    pub limits: DecodeLimits,
    /// How 16-bit grey samples become 8-bit samples.
    pub gray16: Gray16,
}

/// A decoded picture, upright, with 8-bit samples in the channels of its mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    mode: PixelMode,
    samples: Vec<u8>,
    clipped: bool,
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
            clipped: false,
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

    /// Whether 16-bit values above 255 became 255 ([`Gray16::Clip`]), so that the differences between them
    /// are lost.
    pub fn was_clipped(&self) -> bool {
        self.clipped
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
        Self {
            width,
            height,
            mode: self.mode,
            samples,
            clipped: self.clipped,
            decoding: self.decoding.clone(),
        }
    }

    /// Pillow's `convert("RGB")`: grey is repeated, alpha is dropped.
    pub fn to_rgb(&self) -> RgbImage {
        let samples = to_rgb_samples(&self.samples, self.mode);
        RgbImage::from_raw(self.width as u32, self.height as u32, samples).unwrap_or_default()
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
    let not_a_picture = || ImageError::NotAPicture { path: name.to_owned() };
    let format = ::image::guess_format(bytes).map_err(|_| not_a_picture())?;
    let label = label(format).ok_or_else(not_a_picture)?;
    // Some decoders give reasons of several lines.
    let one_line = |reason: String| reason.split_whitespace().collect::<Vec<_>>().join(" ");
    let damaged = |reason: String| ImageError::Damaged {
        path: name.to_owned(),
        format: label,
        reason: one_line(reason),
    };

    let whole = match format {
        ImageFormat::Jpeg => jpeg_is_whole(bytes),
        ImageFormat::WebP => webp_is_whole(bytes),
        _ => true,
    };
    if !whole {
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
    let pixels = u64::from(width) * u64::from(height);
    if pixels > options.limits.max_pixels || decoder.total_bytes() > options.limits.max_bytes {
        return Err(ImageError::TooLarge {
            path: name.to_owned(),
            width,
            height,
            megapixels: pixels.div_ceil(1_000_000),
            allowed: options.limits.max_pixels / 1_000_000,
        });
    }
    // A decoder needs no more extra memory than the picture itself; tiles and frames may claim more.
    limits.max_alloc = Some(decoder.total_bytes().saturating_mul(2).saturating_add(DECODER_TABLES));
    decoder.set_limits(limits).map_err(|e| damaged(e.to_string()))?;
    let orientation = decoder.orientation().ok();
    let mode = PixelMode::of(format, bytes, decoder.color_type(), decoder.original_color_type());
    let mut image = DynamicImage::from_decoder(decoder).map_err(|e| damaged(e.to_string()))?;
    if let Some(orientation) = orientation {
        image.apply_orientation(orientation);
    }
    let (width, height) = (image.width() as usize, image.height() as usize);
    let clipped = options.gray16 == Gray16::Clip
        && image.as_luma16().is_some_and(|grey| grey.as_raw().iter().any(|&v| v > 255));
    let samples = samples(image, mode, options.gray16);
    Picture::new(width, height, mode, samples)
        .map(|picture| Picture { clipped, ..picture })
        .ok_or_else(|| damaged("its rows do not have the announced length".to_owned()))
}

fn label(format: ImageFormat) -> Option<&'static str> {
    match format {
        ImageFormat::Png => Some("PNG"),
        ImageFormat::Jpeg => Some("JPEG"),
        ImageFormat::WebP => Some("WebP"),
        ImageFormat::Bmp => Some("BMP"),
        ImageFormat::Tiff => Some("TIFF"),
        ImageFormat::Gif => Some("GIF"),
        _ => None,
    }
}

/// 8-bit samples in the channels of `mode`. Of 16-bit colours the high byte is kept, as in Pillow.
fn samples(image: DynamicImage, mode: PixelMode, gray16: Gray16) -> Vec<u8> {
    let high = |v: u16| (v >> 8) as u8;
    match (mode, image) {
        (PixelMode::Gray | PixelMode::Bilevel, DynamicImage::ImageLuma8(image)) => image.into_raw(),
        (PixelMode::Gray | PixelMode::Bilevel, DynamicImage::ImageLuma16(image)) => {
            let narrow = |v: u16| match gray16 {
                Gray16::Clip => v.min(255) as u8,
                Gray16::Scale => high(v),
            };
            image.into_raw().into_iter().map(narrow).collect()
        }
        (PixelMode::Gray | PixelMode::Bilevel, DynamicImage::ImageLumaA8(image)) => {
            image.pixels().map(|p| p.0[0]).collect()
        }
        // A grey palette is decoded as colours that are all grey.
        (PixelMode::Gray | PixelMode::Bilevel, image) => image.into_rgb8().pixels().map(|p| p.0[0]).collect(),
        (PixelMode::GrayAlpha, DynamicImage::ImageLumaA16(image)) => {
            image.into_raw().into_iter().map(high).collect()
        }
        (PixelMode::GrayAlpha, image) => image.into_luma_alpha8().into_raw(),
        (PixelMode::Rgb, DynamicImage::ImageRgb16(image)) => image.into_raw().into_iter().map(high).collect(),
        (PixelMode::Rgb, DynamicImage::ImageRgba16(image)) => {
            image.pixels().flat_map(|p| [high(p.0[0]), high(p.0[1]), high(p.0[2])]).collect()
        }
        (PixelMode::Rgb | PixelMode::Palette, image) => image.into_rgb8().into_raw(),
        (PixelMode::Rgba, DynamicImage::ImageRgba16(image)) => {
            image.into_raw().into_iter().map(high).collect()
        }
        (PixelMode::Rgba, image) => image.into_rgba8().into_raw(),
    }
}

/// Whether a WebP file has at least the length given in its header.
fn webp_is_whole(bytes: &[u8]) -> bool {
    let promised = bytes.get(4..8).and_then(|b| b.first_chunk::<4>()).map(|b| u32::from_le_bytes(*b));
    promised.is_some_and(|n| bytes.len() as u64 >= u64::from(n) + 8)
}

/// Whether a JPEG has an end marker after its last scan. The decoder fills missing parts with grey, which a
/// detector could take for a part of the object.
fn jpeg_is_whole(bytes: &[u8]) -> bool {
    let mut at = 2;
    let mut in_scan = false;
    while let Some(&byte) = bytes.get(at) {
        let Some(&marker) = bytes.get(at + 1) else { return false };
        match (byte, marker) {
            (0xFF, 0xD9) => return true,
            // Stuffed bytes, restart markers, padding.
            (0xFF, 0x00 | 0x01 | 0xD0..=0xD8) => at += 2,
            (0xFF, 0xFF) => at += 1,
            (0xFF, _) => {
                let Some(length) = bytes.get(at + 2..at + 4) else { return false };
                at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
                in_scan |= marker == 0xDA;
            }
            _ if in_scan => at += 1,
            // A marker is missing here: the decoder decides.
            _ => return true,
        }
    }
    false
}
