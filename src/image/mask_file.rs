//! Files of ground-truth masks. A pixel is damaged if its value is not zero, in any depth.

use std::path::{Path, PathBuf};

use super::decode::{Picture, decode_bytes, read};
use super::npy;
use super::{DecodeOptions, ImageError, PixelMode};

/// Whether the ending of `path` is that of a mask in NumPy's format, in any case.
pub fn is_array_name(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy"))
}

/// A mask, and what was assumed about its file.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MaskFile {
    /// Grey: 255 where it is damaged, else 0.
    pub mask: Picture,
    /// For a format whose compression loses values (JPEG, lossy WebP): half of the largest value, above which a pixel is
    /// damaged. The edges of such a mask are grey, and values near 0 are no damage.
    pub lossy: Option<u8>,
    /// Whether it was read from the alpha channel, because all colours are equal.
    pub alpha: bool,
}

/// Reads a mask: a picture in any supported format, or a NumPy array (`.npy`) with two dimensions. The format is
/// detected from the content.
///
/// # Errors
/// As [`super::decode`].
pub fn read_mask(path: &Path, options: &DecodeOptions) -> Result<MaskFile, ImageError> {
    mask_of(&read(path, &options.limits)?.bytes, path, options)
}

/// Reads the masks of a picture's defects, if there are several, as one; the facts about files are those of any.
///
/// # Errors
/// As [`read_mask`], or the masks differ in size.
pub fn read_masks(paths: &[PathBuf], options: &DecodeOptions) -> Result<MaskFile, ImageError> {
    let mut whole: Option<MaskFile> = None;
    for path in paths {
        let part = read_mask(path, options)?;
        whole = Some(match whole {
            None => part,
            Some(before) => before.united(part).ok_or_else(|| ImageError::Damaged {
                path: path.clone(),
                format: "mask",
                reason: "it has another size than the first mask of the picture".to_owned(),
            })?,
        });
    }
    whole.ok_or(ImageError::NoPixels { width: 0, height: 0, size: 0 })
}

/// The mask in the content of a file; errors name it `name`.
///
/// # Errors
/// As [`super::decode_bytes`].
pub fn mask_of(bytes: &[u8], name: &Path, options: &DecodeOptions) -> Result<MaskFile, ImageError> {
    if npy::is_npy(bytes) {
        let damaged = |reason| ImageError::Damaged { path: name.to_owned(), format: "NumPy", reason };
        let mask = npy::mask(bytes, options.limits.max_pixels).map_err(damaged)?;
        return Ok(MaskFile { mask, lossy: None, alpha: false });
    }
    let picture = decode_bytes(bytes, name, &options.for_mask())?;
    let (mut values, alpha) = values(&picture);
    let lossy = is_lossy(bytes).then(|| values.iter().max().map_or(0, |largest| largest / 2));
    let above = lossy.unwrap_or(0);
    values.iter_mut().for_each(|value| *value = if *value > above { 255 } else { 0 });
    let mask = Picture::new(picture.width(), picture.height(), PixelMode::Gray, values);
    let empty = ImageError::NoPixels { width: picture.width(), height: picture.height(), size: 0 };
    Ok(MaskFile { mask: mask.ok_or(empty)?, lossy, alpha })
}

/// The largest value of each pixel's colours, and whether it is its alpha: if that alone varies.
fn values(picture: &Picture) -> (Vec<u8>, bool) {
    let channels = picture.mode().channels();
    let has_alpha = matches!(picture.mode(), PixelMode::GrayAlpha | PixelMode::Rgba);
    let colours = channels - usize::from(has_alpha);
    let pixels = || picture.samples().chunks_exact(channels);
    let varies = |part: std::ops::Range<usize>| {
        pixels().zip(pixels().skip(1)).any(|(a, b)| a.get(part.clone()) != b.get(part.clone()))
    };
    let alpha = has_alpha && !varies(0..colours) && varies(colours..channels);
    let part = if alpha { colours..channels } else { 0..colours };
    let largest = |pixel: &[u8]| pixel.get(part.clone()).and_then(|p| p.iter().max()).copied().unwrap_or(0);
    (pixels().map(largest).collect(), alpha)
}

/// Whether the format loses values: JPEG, and WebP with a `VP8 ` picture.
fn is_lossy(bytes: &[u8]) -> bool {
    let webp = bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
    bytes.starts_with(&[0xFF, 0xD8, 0xFF])
        || (webp && bytes.get(12..4096.min(bytes.len())).is_some_and(|b| b.windows(4).any(|w| w == b"VP8 ")))
}

impl MaskFile {
    /// Whether no pixel is damaged.
    pub fn is_empty(&self) -> bool {
        self.mask.samples().iter().all(|&value| value == 0)
    }

    /// Damaged where one of two masks is; `None` if their sizes differ.
    fn united(mut self, other: Self) -> Option<Self> {
        let (width, height) = (self.mask.width(), self.mask.height());
        if (width, height) != (other.mask.width(), other.mask.height()) {
            return None;
        }
        let both = self.mask.samples().iter().zip(other.mask.samples()).map(|(a, b)| a | b).collect();
        self.mask = Picture::new(width, height, PixelMode::Gray, both)?;
        self.lossy = self.lossy.or(other.lossy);
        self.alpha |= other.alpha;
        Some(self)
    }
}
