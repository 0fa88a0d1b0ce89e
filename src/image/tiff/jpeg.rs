//! Strips and tiles that are JPEG streams, with tables in a field of their own.

use super::directory::Refused;
use super::layout::Colour;
use crate::image::jpeg::{self, Jpeg};

/// The samples of a stream, interleaved, with its width and height. YCbCr is converted to RGB.
///
/// # Errors
/// The stream is damaged, cut off, of a form that is not supported, or more than `width` wide.
pub(super) fn decode(
    stream: &[u8],
    tables: Option<&[u8]>,
    colour: &Colour,
    samples: usize,
    width: usize,
) -> Result<(Vec<u8>, usize, usize), Refused> {
    let jpeg = Jpeg::with_tables(stream, tables)?;
    let (found, high) = jpeg.size();
    if jpeg.components() != samples || found != width {
        let components = jpeg.components();
        return Err(format!(
            "a strip or tile has {components} components of width {found}, expected {samples} of {width}"
        ));
    }
    let meaning = match (samples, colour) {
        (1, _) => jpeg::Colour::Grey,
        (3, Colour::YCbCr(_)) => jpeg::Colour::YCbCr,
        (3, _) => jpeg::Colour::Rgb,
        _ => jpeg::Colour::Stored,
    };
    Ok((jpeg.decode_as(meaning)?.samples, found, high))
}
