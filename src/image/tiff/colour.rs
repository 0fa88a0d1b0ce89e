//! From 8-bit samples as the file has them to the samples of a pixel mode.

use super::layout::{Alpha, Colour, Layout, YCbCr};
use crate::image::PixelMode;

/// The pixel mode of a page.
pub(super) fn mode(layout: &Layout<'_>) -> PixelMode {
    let alpha = layout.alpha != Alpha::None;
    match (&layout.colour, alpha) {
        (Colour::WhiteIsZero | Colour::BlackIsZero, true) => PixelMode::GrayAlpha,
        (Colour::WhiteIsZero | Colour::BlackIsZero, false) if layout.bits == 1 => PixelMode::Bilevel,
        (Colour::WhiteIsZero | Colour::BlackIsZero, false) => PixelMode::Gray,
        (Colour::Palette(_), false) => PixelMode::Palette,
        (_, true) => PixelMode::Rgba,
        (_, false) => PixelMode::Rgb,
    }
}

/// The samples of the mode. YCbCr has become RGB before.
pub(super) fn convert(samples: Vec<u8>, layout: &Layout<'_>) -> Vec<u8> {
    let alpha = usize::from(layout.alpha != Alpha::None);
    let mut samples = match &layout.colour {
        Colour::BlackIsZero | Colour::Rgb | Colour::YCbCr(_) => samples,
        Colour::WhiteIsZero => {
            let mut samples = samples;
            samples.iter_mut().step_by(1 + alpha).for_each(|v| *v = 255 - *v);
            samples
        }
        Colour::Palette(colours) => {
            each(&samples, 1, alpha, |index| colours.get(usize::from(index[0])).copied().unwrap_or_default())
        }
        Colour::Cmyk => each(&samples, 4, alpha, |inks| cmyk([inks[0], inks[1], inks[2], inks[3]])),
    };
    if layout.alpha == Alpha::Premultiplied {
        let channels = mode(layout).channels();
        for pixel in samples.chunks_exact_mut(channels) {
            let [colours @ .., alpha] = pixel else { continue };
            match *alpha {
                255 => {}
                // As Pillow: rounded down.
                alpha => colours.iter_mut().for_each(|v| *v = divided(*v, alpha)),
            }
        }
    }
    samples
}

fn divided(value: u8, alpha: u8) -> u8 {
    if alpha == 0 { 0 } else { (u32::from(value) * 255 / u32::from(alpha)).min(255) as u8 }
}

/// Colours of `samples` samples through a function; alpha is kept.
fn each(samples: &[u8], colours: usize, alpha: usize, map: impl Fn(&[u8]) -> [u8; 3]) -> Vec<u8> {
    let pixels = samples.chunks_exact(colours + alpha);
    let mut out = Vec::with_capacity(pixels.len() * (3 + alpha));
    for pixel in pixels {
        let (colour, alpha) = pixel.split_at(colours);
        out.extend(map(colour));
        out.extend_from_slice(alpha);
    }
    out
}

/// Pillow's `convert("RGB")` of inks.
fn cmyk([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    let light = u32::from(255 - k);
    [c, m, y].map(|ink| {
        let product = u32::from(ink) * light + 128;
        (light - ((product + (product >> 8)) >> 8)) as u8
    })
}

impl YCbCr {
    /// RGB of a strip or tile whose pixels share their colours.
    pub fn expand(&self, bytes: &[u8], width: usize, rows: usize) -> Vec<u8> {
        let (h, v) = self.shared;
        let unit = h * v + 2;
        let across = width.div_ceil(h);
        let mut out = Vec::with_capacity(width * rows * 3);
        for y in 0..rows {
            for x in 0..width {
                let start = ((y / v) * across + x / h) * unit;
                let at = |i: usize| f64::from(bytes.get(start + i).copied().unwrap_or(0));
                out.extend(self.rgb([at((y % v) * h + x % h), at(h * v), at(h * v + 1)]));
            }
        }
        out
    }

    /// Bytes of a strip or tile.
    pub fn length(&self, width: usize, rows: usize) -> usize {
        let (h, v) = self.shared;
        width.div_ceil(h) * rows.div_ceil(v) * (h * v + 2)
    }

    fn rgb(&self, sample: [f64; 3]) -> [u8; 3] {
        let code = |i: usize, range: f64| {
            let [low, high] = self.ends[i];
            (sample[i] - low) * range / (high - low)
        };
        let (y, cb, cr) = (code(0, 255.0), code(1, 127.0), code(2, 127.0));
        let [red, green, blue] = self.luma;
        let r = y + cr * (2.0 - 2.0 * red);
        let b = y + cb * (2.0 - 2.0 * blue);
        let g = (y - blue * b - red * r) / green;
        [r, g, b].map(|v| v.round().clamp(0.0, 255.0) as u8)
    }
}
