//! The formats with readers of our own: JPEG, and TIFF and PNM, whose files may have several pages.

use std::path::Path;

use ::image::metadata::Orientation;

use super::decode::{DecodeOptions, Head, OrientationRule, Picture, as_image};
use super::decoding::Decoding;
use super::jpeg::Jpeg;
use super::mode::PixelMode;
use super::wide::SampleKind;
use super::{ImageError, jpeg, pnm, tiff};
use crate::guard::guarded;

/// A picture, or the reason against it; `None`: the content is in another format.
pub(super) fn decode(
    bytes: &[u8],
    name: &Path,
    options: &DecodeOptions,
) -> Option<Result<Picture, ImageError>> {
    let (format, read): (_, Reader) = if tiff::is_tiff(bytes) {
        ("TIFF", of_tiff)
    } else if pnm::is_pnm(bytes) {
        ("PNM", of_pnm)
    } else if jpeg::is_jpeg(bytes) {
        ("JPEG", of_jpeg)
    } else {
        return None;
    };
    let damaged = |reason| ImageError::Damaged { path: name.to_owned(), format, reason };
    // The decompressors are of other crates.
    let picture = guarded(|| read(bytes, name, options));
    Some(match picture {
        Some(Ok(picture)) => Ok(picture),
        Some(Err(Trouble::Image(error))) => Err(error),
        Some(Err(Trouble::Refused(reason))) => Err(damaged(reason)),
        None => Err(damaged("the decoder failed".to_owned())),
    })
}

/// What the head of a file says; `None`: it is in another format, or is not read.
pub(super) fn head(bytes: &[u8]) -> Option<Head> {
    if pnm::is_pnm(bytes) {
        let header = pnm::Header::read(bytes).ok()?;
        return Some(Head { width: header.width, height: header.height, orientation: 1 });
    }
    if jpeg::is_jpeg(bytes) {
        let jpeg = Jpeg::open(bytes).ok()?;
        let (width, height) = jpeg.size();
        return Some(Head { width, height, orientation: jpeg.orientation() });
    }
    let page = tiff::Page::open(bytes, 0).ok()?;
    let (width, height) = page.size();
    Some(Head { width, height, orientation: page.orientation() })
}

type Reader = fn(&[u8], &Path, &DecodeOptions) -> Result<Picture, Trouble>;

enum Trouble {
    Image(ImageError),
    Refused(String),
}

impl From<ImageError> for Trouble {
    fn from(error: ImageError) -> Self {
        Self::Image(error)
    }
}

impl From<String> for Trouble {
    fn from(reason: String) -> Self {
        Self::Refused(reason)
    }
}

fn of_tiff(bytes: &[u8], name: &Path, options: &DecodeOptions) -> Result<Picture, Trouble> {
    let page = tiff::Page::open(bytes, options.page)?;
    let size = page.size();
    check(name, options, size, page.bytes())?;
    let content = page.read(options.range)?;
    let mut decoding = Decoding::default();
    (decoding.depth, decoding.kind, decoding.range) = (page.depth(), page.kind(), content.range);
    decoding.pages = page.pages;
    content.warnings.into_iter().for_each(|warning| decoding.warn(warning));
    picture(size, page.orientation(), content.mode, content.samples, decoding, options)
}

fn of_pnm(bytes: &[u8], name: &Path, options: &DecodeOptions) -> Result<Picture, Trouble> {
    let header = pnm::Header::read(bytes)?;
    if options.page > 0 {
        return Err("only the first picture of a PNM file is read".to_owned().into());
    }
    let size = (header.width, header.height);
    check(name, options, size, header.bytes())?;
    let content = header.content(options.range)?;
    let mut decoding = Decoding::default();
    (decoding.depth, decoding.kind, decoding.range) = (header.depth(), SampleKind::Unsigned, content.range);
    decoding.pages = content.pages;
    content.warnings.into_iter().for_each(|warning| decoding.warn(warning));
    picture(size, 1, content.mode, content.samples, decoding, options)
}

fn of_jpeg(bytes: &[u8], name: &Path, options: &DecodeOptions) -> Result<Picture, Trouble> {
    let jpeg = Jpeg::open(bytes)?;
    let size = jpeg.size();
    let mode = if jpeg.components() == 1 { PixelMode::Gray } else { PixelMode::Rgb };
    check(name, options, size, Some(size.0 * size.1 * mode.channels()))?;
    let decoded = jpeg.decode()?;
    let mut decoding = Decoding::default();
    decoded.warnings.into_iter().for_each(|warning| decoding.warn(warning));
    picture(size, decoded.orientation, mode, decoded.samples, decoding, options)
}

fn check(
    name: &Path,
    options: &DecodeOptions,
    (width, height): (usize, usize),
    bytes: Option<usize>,
) -> Result<(), ImageError> {
    let side = |side| u32::try_from(side).unwrap_or(u32::MAX);
    options.limits.check(name, (side(width), side(height)), bytes.map_or(u64::MAX, |bytes| bytes as u64))
}

/// An upright picture.
fn picture(
    (width, height): (usize, usize),
    orientation: u8,
    mode: PixelMode,
    samples: Vec<u8>,
    mut decoding: Decoding,
    options: &DecodeOptions,
) -> Result<Picture, Trouble> {
    if options.page == 0 && decoding.pages > 1 {
        decoding.warn(format!("the first of {} pages; the others are not looked at", decoding.pages));
    }
    let turns = options.orientation == OrientationRule::Apply;
    let odd = || "its rows do not have the announced length".to_owned();
    let turn = Orientation::from_exif(orientation).filter(|turn| turns && *turn != Orientation::NoTransforms);
    let Some(turn) = turn else {
        return Ok(Picture::new(width, height, mode, samples).ok_or_else(odd)?.with(decoding));
    };
    decoding.orientation = orientation;
    let mut image = as_image(width as u32, height as u32, mode.channels(), samples).ok_or_else(odd)?;
    image.apply_orientation(turn);
    let (width, height) = (image.width() as usize, image.height() as usize);
    let samples = image.into_bytes();
    Ok(Picture::new(width, height, mode, samples).ok_or_else(odd)?.with(decoding))
}
