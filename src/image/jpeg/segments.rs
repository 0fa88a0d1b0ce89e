//! The segments of a JPEG file, and the tables that they carry.

use super::frame::{Block, ZIGZAG};
use super::huffman::Huffman;
use super::standard::STANDARD;
use crate::image::orientation;

pub(super) const EOI: u8 = 0xD9;
const DHT: u8 = 0xC4;
const DQT: u8 = 0xDB;
const DRI: u8 = 0xDD;

/// A marker and the bytes of its segment.
pub(super) enum Segment<'a> {
    /// The header of a frame.
    Frame(u8, &'a [u8]),
    /// The header of a scan; its data follow.
    Scan(&'a [u8]),
    /// Every other.
    Other(u8, &'a [u8]),
}

/// Walks through a file.
pub(super) struct Segments<'a> {
    bytes: &'a [u8],
    at: usize,
    excess: usize,
}

impl<'a> Segments<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 2, excess: 0 }
    }

    /// The next segment; `None` at the end of the file.
    ///
    /// # Errors
    /// A segment is cut off.
    pub fn advance(&mut self) -> Result<Option<Segment<'a>>, String> {
        let marker = loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            // Padding before a marker is allowed, other bytes are not.
            match rest {
                [] | [_] => return Ok(None),
                [0xFF, 0xFF, ..] => self.at += 1,
                [0xFF, 0x00, ..] => (self.at, self.excess) = (self.at + 2, self.excess + 2),
                [0xFF, marker, ..] => break *marker,
                _ => (self.at, self.excess) = (self.at + 1, self.excess + 1),
            }
        };
        self.at += 2;
        if matches!(marker, EOI | 0x01 | 0xD0..=0xD8) {
            return Ok(Some(Segment::Other(marker, &[])));
        }
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let body = rest.first_chunk().and_then(|l| rest.get(2..usize::from(u16::from_be_bytes(*l))));
        let body = body.ok_or("the file ends before the end of the picture")?;
        self.at += 2 + body.len();
        Ok(Some(match marker {
            DHT | 0xC8 | 0xCC => Segment::Other(marker, body),
            0xC0..=0xCF => Segment::Frame(marker, body),
            0xDA => Segment::Scan(body),
            _ => Segment::Other(marker, body),
        }))
    }

    /// Everything after the last segment.
    pub fn data(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Goes behind data of which `excess` bytes were not needed.
    pub fn skip_data(&mut self, length: usize, excess: usize) {
        self.at += length;
        self.excess += excess;
    }

    /// Bytes so far that belong to nothing.
    pub fn excess(&self) -> usize {
        self.excess
    }

    /// The number of rows, where the frame header leaves it to a DNL segment after the first scan.
    pub fn late_height(&self) -> Option<usize> {
        let found = self.data().windows(6).find(|w| w[..4] == [0xFF, 0xDC, 0, 4])?;
        Some(usize::from(u16::from_be_bytes([found[4], found[5]])))
    }
}

/// What segments say about the scans after them.
pub(super) struct Tables {
    /// Steps of the coefficients, in the order of rows.
    pub steps: [Option<Block>; 4],
    /// Huffman tables of the first coefficients.
    pub dc: [Option<Huffman>; 4],
    /// Huffman tables of the others.
    pub ac: [Option<Huffman>; 4],
    /// MCUs between restart marks; 0: none.
    pub restart: usize,
    /// Whether there is a JFIF segment.
    pub jfif: bool,
    /// The colour transform that Adobe's segment names.
    pub adobe: Option<u8>,
    exif: Option<Vec<u8>>,
    xmp: Option<Vec<u8>>,
}

impl Default for Tables {
    /// With the tables of the standard.
    fn default() -> Self {
        let mut tables = Self {
            steps: [None; 4],
            dc: [const { None }; 4],
            ac: [const { None }; 4],
            restart: 0,
            jfif: false,
            adobe: None,
            exif: None,
            xmp: None,
        };
        let whole = tables.huffman(&STANDARD);
        debug_assert!(whole.is_some());
        tables
    }
}

impl Tables {
    /// Takes over what a segment says.
    ///
    /// # Errors
    /// A table is damaged.
    pub fn read(&mut self, marker: u8, body: &[u8]) -> Result<(), String> {
        match marker {
            DQT => self.quantization(body).ok_or("a quantization table is damaged")?,
            DHT => self.huffman(body).ok_or("a Huffman table is damaged")?,
            DRI => {
                let interval = body.first_chunk().ok_or("a restart interval is damaged")?;
                self.restart = usize::from(u16::from_be_bytes(*interval));
            }
            0xE0 if body.starts_with(b"JFIF\0") => self.jfif = true,
            0xE1 => {
                let after = |name: &[u8]| body.strip_prefix(name).map(<[u8]>::to_vec);
                self.exif = self.exif.take().or_else(|| after(b"Exif\0\0"));
                self.xmp = self.xmp.take().or_else(|| after(b"http://ns.adobe.com/xap/1.0/\0"));
            }
            0xEE if body.starts_with(b"Adobe") => self.adobe = body.get(11).copied().or(self.adobe),
            _ => {}
        }
        Ok(())
    }

    /// How the picture must be turned, as in EXIF; 1: not at all.
    pub fn orientation(&self) -> u8 {
        orientation::of(self.exif.as_deref(), self.xmp.as_deref()).map_or(1, |turn| turn.to_exif())
    }

    fn quantization(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&head, rest)) = body.split_first() {
            let width = match head >> 4 {
                0 => 1,
                1 => 2,
                _ => return None,
            };
            let (values, rest) = rest.split_at_checked(64 * width)?;
            let mut steps = [0; 64];
            for (&place, value) in ZIGZAG.iter().zip(values.chunks_exact(width)) {
                let step = value.iter().fold(0, |sum, &b| sum << 8 | u16::from(b));
                steps[usize::from(place)] = step as i16;
            }
            *self.steps.get_mut(usize::from(head & 15))? = Some(steps);
            body = rest;
        }
        Some(())
    }

    fn huffman(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&head, rest)) = body.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let symbols: usize = counts.iter().map(|&c| usize::from(c)).sum();
            let (symbols, rest) = rest.split_at_checked(symbols)?;
            let tables = match head >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return None,
            };
            *tables.get_mut(usize::from(head & 15))? = Some(Huffman::new(counts, symbols)?);
            body = rest;
        }
        Some(())
    }
}
