//! The header of a frame and of a scan, and the planes of samples.

use rayon::prelude::*;

use super::NONE;
use super::idct;
use super::segments::{Segments, Tables};

/// 8 x 8 coefficients, row by row.
pub(super) type Block = [i16; 64];

/// The places of coefficients in the order of a file.
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// A component of the picture: a plane with its own resolution.
pub(super) struct Component {
    id: u8,
    /// Blocks of an MCU, across and down.
    pub across: usize,
    /// See `across`.
    pub down: usize,
    /// Index of its quantization table.
    pub steps: usize,
    /// Samples in a row and rows.
    pub width: usize,
    /// See `width`.
    pub height: usize,
    /// Blocks in a row of whole MCUs, and rows of blocks.
    pub stored_across: usize,
    /// See `stored_across`.
    pub stored_down: usize,
}

/// A picture's size and kind.
pub(super) struct Frame {
    pub width: usize,
    pub height: usize,
    pub progressive: bool,
    pub components: Vec<Component>,
    /// The largest sampling factors.
    pub most_across: usize,
    /// See `most_across`.
    pub most_down: usize,
}

impl Frame {
    /// Reads a frame header.
    pub fn read(marker: u8, body: &[u8], segments: &Segments) -> Result<Self, String> {
        let unsupported = |what: &str| Err(format!("{what} are not supported"));
        match marker {
            0xC0..=0xC2 => {}
            0xC9 | 0xCA => return unsupported("JPEGs with arithmetic codes"),
            0xC3 | 0xCB => return unsupported("lossless JPEGs"),
            _ => return unsupported("hierarchical JPEGs"),
        }
        let damaged = || "the frame header is damaged".to_owned();
        let (&[bits, h0, h1, w0, w1, count], list) = body.split_first_chunk().ok_or_else(damaged)?;
        if bits != 8 {
            return Err(format!("JPEGs of {bits} bits per sample are not supported"));
        }
        let width = usize::from(u16::from_be_bytes([w0, w1]));
        let height = match u16::from_be_bytes([h0, h1]) {
            0 => segments.late_height().ok_or("its height is missing")?,
            height => usize::from(height),
        };
        let list = list.as_chunks::<3>().0;
        if width == 0 || height == 0 || list.len() != usize::from(count) {
            return Err(damaged());
        }
        if !matches!(list.len(), 1 | 3 | 4) {
            return unsupported(&format!("JPEGs with {} components", list.len()));
        }
        let factors: Vec<(usize, usize)> =
            list.iter().map(|&[_, f, _]| (usize::from(f >> 4), usize::from(f & 15))).collect();
        if factors.iter().any(|&(h, v)| !(1..=4).contains(&h) || !(1..=4).contains(&v)) {
            return Err(damaged());
        }
        let most_across = factors.iter().map(|f| f.0).max().unwrap_or(1);
        let most_down = factors.iter().map(|f| f.1).max().unwrap_or(1);
        if factors.iter().any(|&(h, v)| most_across % h != 0 || most_down % v != 0) {
            return unsupported("JPEGs whose components differ by a fraction in resolution");
        }
        let components = list.iter().zip(factors).map(|(&[id, _, steps], (across, down))| Component {
            id,
            across,
            down,
            steps: usize::from(steps & 3),
            width: (width * across).div_ceil(most_across),
            height: (height * down).div_ceil(most_down),
            stored_across: width.div_ceil(8 * most_across) * across,
            stored_down: height.div_ceil(8 * most_down) * down,
        });
        Ok(Self {
            width,
            height,
            progressive: marker == 0xC2,
            components: components.collect(),
            most_across,
            most_down,
        })
    }
}

/// What the components mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::image) enum Colour {
    Grey,
    YCbCr,
    Rgb,
    Cmyk,
    Ycck,
    /// Cyan, magenta, yellow and black where 255 is full ink, as in TIFF.
    Inks,
}

impl Colour {
    /// As libjpeg finds it: from the segments of JFIF and Adobe, else from the names of the components.
    pub(super) fn of(frame: &Frame, tables: &Tables) -> Self {
        let ids: Vec<u8> = frame.components.iter().map(|c| c.id).collect();
        match (ids.len(), tables.adobe) {
            (1, _) => Self::Grey,
            (3, _) if tables.jfif => Self::YCbCr,
            (3, Some(0)) => Self::Rgb,
            (3, None) if ids == *b"RGB" => Self::Rgb,
            (3, _) => Self::YCbCr,
            (_, None | Some(0)) => Self::Cmyk,
            _ => Self::Ycck,
        }
    }
}

/// A component's share of a scan.
pub(super) struct Part {
    /// Index of the component.
    pub component: usize,
    /// Indices of its tables.
    pub dc: usize,
    /// See `dc`.
    pub ac: usize,
    /// Its blocks in an MCU of the scan.
    pub across: usize,
    /// See `across`.
    pub down: usize,
}

/// The header of a scan.
pub(super) struct Scan {
    pub parts: Vec<Part>,
    /// First and last coefficient.
    pub from: usize,
    /// See `from`.
    pub to: usize,
    /// Lowest bit known before; 0: the scan is the first of its coefficients.
    pub high: u8,
    /// Lowest bit known after it.
    pub low: u8,
    /// MCUs in a row, and rows.
    pub columns: usize,
    /// See `columns`.
    pub rows: usize,
}

impl Scan {
    pub fn read(body: &[u8], frame: &Frame) -> Result<Self, String> {
        Self::parse(body, frame).ok_or_else(|| "the header of a scan is damaged".to_owned())
    }

    fn parse(body: &[u8], frame: &Frame) -> Option<Self> {
        let (&count, rest) = body.split_first()?;
        let (list, rest) = rest.split_at_checked(2 * usize::from(count))?;
        let &[from, to, bits] = rest.first_chunk()?;
        let mut parts: Vec<Part> = Vec::new();
        for &[id, tables] in list.as_chunks::<2>().0 {
            let component = frame.components.iter().position(|c| c.id == id)?;
            if parts.iter().any(|p| p.component == component) {
                return None;
            }
            let (dc, ac) = (usize::from(tables >> 4), usize::from(tables & 15));
            let Component { across, down, .. } = frame.components[component];
            (dc < 4 && ac < 4).then(|| parts.push(Part { component, dc, ac, across, down }))?;
        }
        // The blocks of a component alone come row by row.
        let (columns, rows) = match &mut parts[..] {
            [] => return None,
            [only] => {
                (only.across, only.down) = (1, 1);
                let component = &frame.components[only.component];
                (component.width.div_ceil(8), component.height.div_ceil(8))
            }
            _ => (frame.width.div_ceil(8 * frame.most_across), frame.height.div_ceil(8 * frame.most_down)),
        };
        let (from, to) = (usize::from(from), usize::from(to));
        let (high, low) = (bits >> 4, bits & 15);
        let valid = if frame.progressive {
            let range = if from == 0 { to == 0 } else { from <= to && to < 64 && parts.len() == 1 };
            range && low <= 13 && (high == 0 || high == low + 1)
        } else {
            true
        };
        valid.then_some(Self { parts, from, to, high, low, columns, rows })
    }

    /// Notes the lowest bits that this scan of a progressive frame makes known.
    ///
    /// # Errors
    /// The scan comes out of turn.
    pub fn note(&self, known: &mut [u8; 64]) -> Result<(), String> {
        let before = if self.high == 0 { NONE } else { self.high };
        if self.from > 0 && known[0] == NONE || known[self.from..=self.to].iter().any(|&bit| bit != before) {
            return Err("a scan comes out of turn".to_owned());
        }
        known[self.from..=self.to].fill(self.low);
        Ok(())
    }
}

/// Samples of a component, in rows of whole blocks.
pub(super) struct Plane {
    samples: Vec<u8>,
    /// The row of the component with the first samples.
    first: usize,
    stride: usize,
    /// Samples in a row, and rows.
    pub width: usize,
    /// See `width`.
    pub height: usize,
}

impl Plane {
    /// Room for some rows of MCUs.
    pub fn new(component: &Component, mcus: usize) -> Self {
        let stride = component.stored_across * 8;
        let samples = vec![0; stride * mcus * component.down * 8];
        Self { samples, first: 0, stride, width: component.width, height: component.height }
    }

    /// Moves the rows from `first` on to the beginning.
    pub fn keep_from(&mut self, first: usize) {
        let start = (first - self.first) * self.stride;
        self.samples.copy_within(start.., 0);
        self.first = first;
    }

    /// The samples of a row; rows below the picture are the last.
    pub fn row(&self, y: usize) -> &[u8] {
        &self.samples[(y.min(self.height - 1) - self.first) * self.stride..][..self.width]
    }

    /// Turns blocks, `across` in a row, into samples from the row of blocks `first` on.
    pub fn put(&mut self, first: usize, across: usize, blocks: &[Block], steps: &Block) {
        let stride = self.stride;
        let rows = self.samples.chunks_exact_mut(8 * stride).skip(first - self.first / 8);
        rows.zip(blocks.chunks_exact(across)).for_each(|(out, blocks)| idct::row(blocks, steps, out, stride));
    }

    /// As [`Self::put`] for rows of the component's own blocks, on several threads.
    pub fn put_all(&mut self, first: usize, blocks: &[Block], steps: &Block) {
        let stride = self.stride;
        let rows = self.samples.par_chunks_exact_mut(8 * stride).skip(first - self.first / 8);
        let rows = rows.zip(blocks.par_chunks_exact(stride / 8));
        rows.for_each(|(out, blocks)| idct::row(blocks, steps, out, stride));
    }
}
