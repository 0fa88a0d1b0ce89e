//! Reads picture files whose pictures share a bound on memory.

use std::io::Read;
use std::path::Path;

use super::decode::{DecodeLimits, PictureFile, head, read};
use super::error::ImageError;
use crate::memory::{MemoryBound, MemoryShare};

/// Files up to this length are read before their share is known.
const SMALL: u64 = 16 << 20;

/// Bytes of a larger file in which its head is looked for.
const HEAD: u64 = 1 << 20;

/// Bytes per pixel from decoding to the record: colours, and as much again for wide samples or a decoder's coefficients.
const PER_PIXEL: u64 = 6;

/// Reads a file as [`read`] does, when its picture fits into the memory; keep the share as long as the picture.
///
/// # Errors
/// As [`read`].
pub fn read_within(
    path: &Path,
    limits: &DecodeLimits,
    memory: &MemoryBound,
) -> Result<(PictureFile, MemoryShare), ImageError> {
    let length = std::fs::metadata(path).map_or(0, |about| about.len());
    if length <= SMALL || length > limits.max_bytes {
        let file = read(path, limits)?;
        let share = share_of(&file.bytes, memory);
        return Ok((file, share));
    }
    // A head that lies elsewhere may belong to a picture of any size: it is processed alone.
    let mut start = Vec::new();
    let found = std::fs::File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut start));
    let pixels = found.ok().and_then(|_| pixels(&start));
    let share = memory.take(pixels.map_or(u64::MAX, |pixels| needed(pixels, length)));
    Ok((read(path, limits)?, share))
}

/// Waits until the picture in the content of a file fits into the memory.
pub fn share_of(bytes: &[u8], memory: &MemoryBound) -> MemoryShare {
    memory.take(needed(pixels(bytes).unwrap_or(0), bytes.len() as u64))
}

fn pixels(bytes: &[u8]) -> Option<u64> {
    head(bytes).map(|head| (head.width as u64).saturating_mul(head.height as u64))
}

fn needed(pixels: u64, length: u64) -> u64 {
    pixels.saturating_mul(PER_PIXEL).saturating_add(length)
}
