//! Strips and tiles that are JPEG streams, with tables in a field of their own.

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::directory::Refused;
use super::layout::Colour;

/// The samples of a stream, interleaved, with its width and height. YCbCr is converted to RGB.
///
/// # Errors
/// The stream is damaged, cut off, or of a form that the decoder is not trusted with.
pub(super) fn decode(
    stream: &[u8],
    tables: Option<&[u8]>,
    colour: &Colour,
    samples: usize,
) -> Result<(Vec<u8>, usize, usize), Refused> {
    let damaged = || "its JPEG data is damaged".to_owned();
    let whole = whole(stream, tables, matches!(colour, Colour::YCbCr(_))).ok_or_else(damaged)?;
    if !is_plain(&whole, samples).ok_or_else(damaged)? {
        return Err("this form of JPEG data is not read".to_owned());
    }
    let space = match samples {
        1 => ColorSpace::Luma,
        3 => ColorSpace::RGB,
        _ => ColorSpace::CMYK,
    };
    let options = DecoderOptions::default().set_strict_mode(true).jpeg_set_out_colorspace(space);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&whole[..]), options);
    let out = decoder.decode().map_err(|_| damaged())?;
    let (width, height) = decoder.info().map(|i| (i.width, i.height)).ok_or_else(damaged)?;
    let (width, height) = (usize::from(width), usize::from(height));
    if out.len() != width * height * samples { Err(damaged()) } else { Ok((out, width, height)) }
}

/// One stream with its tables, and with a marker that says whether the colours are differences.
fn whole(stream: &[u8], tables: Option<&[u8]>, differences: bool) -> Option<Vec<u8>> {
    const START: [u8; 2] = [0xFF, 0xD8];
    const END: [u8; 2] = [0xFF, 0xD9];
    let body = stream.strip_prefix(&START)?;
    // The decoder fills what is missing.
    body.windows(2).rposition(|pair| pair == END)?;
    let tables = tables.and_then(|tables| tables.strip_prefix(&START)).unwrap_or_default();
    let tables = tables.strip_suffix(&END).unwrap_or(tables);
    let mut whole = START.to_vec();
    whole.extend(b"\xFF\xEE\0\x0EAdobe\0\x64\0\0\0\0");
    whole.push(u8::from(differences));
    whole.extend_from_slice(tables);
    whole.extend_from_slice(body);
    Some(whole)
}

/// Whether a stream has `samples` components of 8 bits in one scan or in progressive scans, with the first
/// sampled at least as finely as the others by one of the common factors; `None`: it is damaged.
fn is_plain(stream: &[u8], samples: usize) -> Option<bool> {
    let mut at = 2;
    let mut progressive = None;
    loop {
        let (marker, length) = match stream.get(at..at + 4)? {
            [0xFF, 0xFF, ..] => {
                at += 1;
                continue;
            }
            &[0xFF, marker, high, low] => (marker, usize::from(u16::from_be_bytes([high, low]))),
            _ => return None,
        };
        let segment = stream.get(at + 4..at + 2 + length)?;
        match marker {
            0xC0..=0xC2 => {
                let components = segment.get(6..)?.as_chunks::<3>().0;
                let factors: Vec<u8> = components.iter().map(|component| component[1]).collect();
                let common = match factors.split_first()? {
                    (_, []) => true,
                    (first, rest) if matches!(first, 0x11 | 0x12 | 0x21 | 0x22) && rest.len() == 2 => {
                        rest.iter().all(|f| *f == 0x11)
                    }
                    (first, rest) => *first == 0x11 && rest.iter().all(|f| *f == 0x11),
                };
                if segment.first() != Some(&8) || components.len() != samples || !common {
                    return Some(false);
                }
                progressive = Some(marker == 0xC2);
            }
            0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => return Some(false),
            0xDA => {
                let together = usize::from(*segment.first()?) == samples;
                return Some(progressive? || together);
            }
            _ => {}
        }
        at += 2 + length;
    }
}
