//! From components to grey or RGB.

use rayon::prelude::*;

use super::frame::{Colour, Frame, Plane};
use super::upsample::{Scratch, Source};

/// Rows that a thread takes at once.
const ROWS: usize = 16;

impl Colour {
    /// Samples in a row of the picture: grey, else RGB.
    pub(super) fn stride(self, width: usize) -> usize {
        width * if self == Self::Grey { 1 } else { 3 }
    }

    /// The rows of the picture from `first` on.
    pub(super) fn assemble(self, frame: &Frame, planes: &[Plane], first: usize, out: &mut [u8]) {
        let sources = frame.components.iter().zip(planes).map(|(component, plane)| Source {
            plane,
            across: frame.most_across / component.across,
            down: frame.most_down / component.down,
        });
        let sources: Vec<Source> = sources.collect();
        let pieces = out.par_chunks_mut(ROWS * self.stride(frame.width)).enumerate();
        pieces.for_each(|(i, out)| self.rows(&sources, first + i * ROWS, frame.width, out));
    }

    fn rows(self, sources: &[Source], first: usize, width: usize, out: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has these instructions.
            unsafe { self.rows_avx2(sources, first, width, out) };
            return;
        }
        self.rows_plain(sources, first, width, out);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn rows_avx2(self, sources: &[Source], first: usize, width: usize, out: &mut [u8]) {
        self.rows_plain(sources, first, width, out);
    }

    #[inline(always)]
    fn rows_plain(self, sources: &[Source], first: usize, width: usize, out: &mut [u8]) {
        let mut scratch: [Scratch; 4] = Default::default();
        let stride = self.stride(width);
        for (y, out) in (first..).zip(out.chunks_exact_mut(stride)) {
            let mut rows = [&[][..]; 4];
            for ((row, source), scratch) in rows.iter_mut().zip(sources).zip(&mut scratch) {
                *row = source.row(y, width, scratch);
            }
            let out_pixels = out.as_chunks_mut::<3>().0;
            match self {
                Self::Grey => out.copy_from_slice(rows[0]),
                Self::Rgb => each(out_pixels, &rows, |a, b, c, _| [a, b, c]),
                Self::YCbCr => each(out_pixels, &rows, |y, b, r, _| rgb(y, b, r)),
                // The files store what Adobe's programs do: 255 is no ink.
                Self::Cmyk => each(out_pixels, &rows, |c, m, y, k| [c, m, y].map(|v| inked(v, k))),
                Self::Inks => {
                    each(out_pixels, &rows, |c, m, y, k| [c, m, y].map(|v| inked(255 - v, 255 - k)))
                }
                Self::Ycck => each(out_pixels, &rows, |y, b, r, k| rgb(y, b, r).map(|v| inked(255 - v, k))),
            }
        }
    }
}

#[inline(always)]
fn each(out: &mut [[u8; 3]], rows: &[&[u8]; 4], pixel: impl Fn(u8, u8, u8, u8) -> [u8; 3]) {
    let [a, b, c, d] = rows;
    let n = out.len();
    // Slices of one length need no checks.
    let (a, b, c) = (&a[..n], &b[..n], &c[..n]);
    if d.is_empty() {
        for i in 0..n {
            out[i] = pixel(a[i], b[i], c[i], 0);
        }
    } else {
        let d = &d[..n];
        for i in 0..n {
            out[i] = pixel(a[i], b[i], c[i], d[i]);
        }
    }
}

/// JFIF's conversion with factors scaled by 2^16.
#[inline(always)]
fn rgb(y: u8, blue: u8, red: u8) -> [u8; 3] {
    let (y, blue, red) = (i32::from(y), i32::from(blue) - 128, i32::from(red) - 128);
    let half = 1 << 15;
    [
        y + ((91881 * red + half) >> 16),
        y + ((-22554 * blue - 46802 * red + half) >> 16),
        y + ((116130 * blue + half) >> 16),
    ]
    .map(|v| v.clamp(0, 255) as u8)
}

/// Pillow's conversion of one ink: what the ink and black leave of white; both are stored inverted.
#[inline(always)]
fn inked(stored: u8, black: u8) -> u8 {
    let (ink, left) = (255 - u32::from(stored), u32::from(black));
    let product = ink * left + 128;
    (left - ((product + (product >> 8)) >> 8)) as u8
}
