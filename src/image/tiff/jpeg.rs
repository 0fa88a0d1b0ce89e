//! Strips and tiles that are JPEG streams, with tables in a field of their own.

use super::directory::Refused;
use super::layout::Colour;
use crate::image::jpeg::{self, Jpeg};

/// Grey or RGB samples of a stream, with its width and height; `colour` is what the file says of the samples.
///
/// # Errors
/// The stream is damaged, cut off, or of a kind that is not read, or is larger than `width` x `rows`.
pub(super) fn decode(
    stream: &[u8],
    tables: Option<&[u8]>,
    colour: &Colour,
    (width, rows): (usize, usize),
) -> Result<(Vec<u8>, usize, usize), Refused> {
    let (colour, components) = match colour {
        Colour::Rgb => (jpeg::Colour::Rgb, 3),
        Colour::YCbCr(_) => (jpeg::Colour::YCbCr, 3),
        Colour::Cmyk => (jpeg::Colour::Inks, 4),
        _ => (jpeg::Colour::Grey, 1),
    };
    let whole = whole(stream, tables).ok_or("its JPEG data is damaged")?;
    let jpeg = Jpeg::open(&whole)?;
    let (found, height) = jpeg.size();
    // Before memory is allocated.
    if found != width || height > rows {
        return Err(format!("a strip or tile has {found} x {height} pixels, expected {width} x {rows}"));
    }
    if jpeg.components() != components {
        return Err(format!("its JPEG data has {} components, expected {components}", jpeg.components()));
    }
    let decoded = jpeg.decode_as(colour)?;
    match decoded.warnings.into_iter().next() {
        Some(warning) => Err(warning),
        None => Ok((decoded.samples, width, height)),
    }
}

/// One stream with its tables.
fn whole(stream: &[u8], tables: Option<&[u8]>) -> Option<Vec<u8>> {
    const START: [u8; 2] = [0xFF, 0xD8];
    const END: [u8; 2] = [0xFF, 0xD9];
    let body = stream.strip_prefix(&START)?;
    let tables = tables.and_then(|tables| tables.strip_prefix(&START)).unwrap_or_default();
    let tables = tables.strip_suffix(&END).unwrap_or(tables);
    Some([&START[..], tables, body].concat())
}
