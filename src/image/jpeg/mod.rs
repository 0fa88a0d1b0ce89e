//! JPEG, sample for sample as libjpeg-turbo (and so Pillow and OpenCV) decodes it.
//!
//! Own code, because no decoder in Rust reads every valid file right and says where the data of a damaged one end
//! (docs/pictures.md has the figures). Baseline, extended and progressive frames of 8 bits with Huffman codes; every
//! other kind is refused by name.

mod bits;
mod colour;
mod frame;
mod huffman;
mod idct;
#[cfg(target_arch = "x86_64")]
mod idct_avx2;
mod progressive;
mod segments;
mod sequential;
mod standard;
mod strips;
mod upsample;

pub(super) use frame::Colour;
use frame::{Block, Frame};
use segments::{Segment, Segments, Tables};
use strips::{Coefficients, Strips};

/// Whether a file begins like a JPEG.
pub(super) fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xFF, 0xD8, 0xFF])
}

/// A JPEG file whose frame header has been read.
pub(super) struct Jpeg<'a> {
    segments: Segments<'a>,
    tables: Tables,
    frame: Frame,
}

/// A decoded JPEG, not turned.
pub(super) struct Decoded {
    /// Rows of grey or RGB samples.
    pub samples: Vec<u8>,
    /// How it must be turned, as in EXIF; 1: not at all.
    pub orientation: u8,
    /// What looks wrong in the file, although every sample was found.
    pub warnings: Vec<String>,
}

impl<'a> Jpeg<'a> {
    /// Reads up to the frame header.
    ///
    /// # Errors
    /// There is none, it is damaged, or the kind of frame is not supported.
    pub fn open(bytes: &'a [u8]) -> Result<Self, String> {
        let mut segments = Segments::new(bytes);
        let mut tables = Tables::default();
        while let Some(segment) = segments.advance()? {
            match segment {
                Segment::Frame(marker, body) => {
                    let frame = Frame::read(marker, body, &segments)?;
                    return Ok(Self { segments, tables, frame });
                }
                Segment::Scan(_) => return Err("a scan comes before the size of the picture".to_owned()),
                Segment::Other(marker, body) => tables.read(marker, body)?,
            }
        }
        Err("the file ends before the size of the picture".to_owned())
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (usize, usize) {
        (self.frame.width, self.frame.height)
    }

    /// Components of a pixel: 1 is grey, 3 or 4 are colours.
    pub fn components(&self) -> usize {
        self.frame.components.len()
    }

    /// How the picture must be turned, as in EXIF; 1: not at all. Damage after the frame header is ignored.
    pub fn orientation(mut self) -> u8 {
        while let Ok(Some(segment)) = self.segments.advance() {
            match segment {
                Segment::Other(segments::EOI, _) => break,
                Segment::Other(marker, body) => drop(self.tables.read(marker, body)),
                _ => {}
            }
        }
        self.tables.orientation()
    }

    /// Decodes the picture.
    ///
    /// # Errors
    /// Data are damaged or missing: no sample is made up.
    pub fn decode(self) -> Result<Decoded, String> {
        let colour = Colour::of(&self.frame, &self.tables);
        self.decode_as(colour)
    }

    /// Decodes the picture with components of a known meaning, which must fit their number.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn decode_as(mut self, colour: Colour) -> Result<Decoded, String> {
        let mut decoder = Decoder::new(&self.frame, colour)?;
        let mut ended = false;
        while let Some(segment) = self.segments.advance()? {
            match segment {
                Segment::Frame(..) => return Err("it has several frames".to_owned()),
                Segment::Other(segments::EOI, _) => {
                    ended = true;
                    break;
                }
                Segment::Other(marker, body) => self.tables.read(marker, body)?,
                Segment::Scan(body) => decoder.scan(body, &mut self.segments, &self.tables)?,
            }
        }
        let mut warnings = Vec::new();
        let excess = self.segments.excess();
        let samples = decoder.finish(&mut warnings)?;
        if excess > 0 {
            warnings
                .push(format!("{excess} bytes among the data belong to no pixel: the file may be damaged"));
        }
        if !ended {
            warnings.push("the mark at the end of the file is missing".to_owned());
        }
        Ok(Decoded { samples, orientation: self.tables.orientation(), warnings })
    }
}

/// The scans of a frame become a picture.
struct Decoder<'f> {
    frame: &'f Frame,
    colour: Colour,
    /// The picture, from the first scan on; not of progressive frames.
    strips: Option<Strips<'f>>,
    /// Coefficients of the whole picture, by component; only of progressive frames.
    coefficients: Vec<Coefficients>,
    /// The steps of a component's coefficients, from its first scan.
    steps: Vec<Option<Block>>,
    /// Lowest bit known of every coefficient, by component; `NONE` before its first scan.
    known: Vec<[u8; 64]>,
}

/// No scan of a coefficient was seen.
const NONE: u8 = u8::MAX;

impl<'f> Decoder<'f> {
    fn new(frame: &'f Frame, colour: Colour) -> Result<Self, String> {
        let kept = if frame.progressive { &frame.components[..] } else { &[] };
        Ok(Self {
            frame,
            colour,
            strips: None,
            coefficients: kept.iter().map(Coefficients::new).collect::<Result<_, _>>()?,
            steps: vec![None; frame.components.len()],
            known: vec![[NONE; 64]; frame.components.len()],
        })
    }

    fn scan(&mut self, header: &[u8], segments: &mut Segments, tables: &Tables) -> Result<(), String> {
        let scan = frame::Scan::read(header, self.frame)?;
        for part in &scan.parts {
            let component = &self.frame.components[part.component];
            let steps = &mut self.steps[part.component];
            if steps.is_none() {
                *steps = Some(tables.steps[component.steps].ok_or("a quantization table is missing")?);
            }
        }
        if self.frame.progressive {
            for part in &scan.parts {
                let known = &mut self.known[part.component];
                scan.note(known)?;
            }
        } else if scan.parts.iter().any(|p| self.known[p.component][0] != NONE) {
            return Err("a component comes twice".to_owned());
        } else {
            scan.parts.iter().for_each(|p| self.known[p.component] = [0; 64]);
        }
        let data = segments.data();
        let (end, excess) = if self.frame.progressive {
            progressive::scan(&scan, tables, data, &mut self.coefficients)?
        } else {
            let steps: Vec<Block> = self.steps.iter().map(|s| s.unwrap_or([0; 64])).collect();
            let whole = scan.parts.len() < self.frame.components.len();
            let strips = self.strips.get_or_insert_with(|| Strips::new(self.frame, self.colour, whole));
            sequential::scan(&scan, tables, data, &steps, strips)?
        };
        segments.skip_data(end, excess);
        Ok(())
    }

    fn finish(self, warnings: &mut Vec<String>) -> Result<Vec<u8>, String> {
        if self.known.iter().any(|k| k[0] == NONE) {
            return Err("the file ends before the end of the picture".to_owned());
        }
        if self.known.iter().flatten().any(|&bit| bit != 0) {
            let what = "scans of the progressive picture are missing: it is less sharp than it was";
            warnings.push(what.to_owned());
        }
        let steps: Vec<Block> = self.steps.iter().map(|s| s.unwrap_or([0; 64])).collect();
        let strips = self.strips.unwrap_or_else(|| Strips::new(self.frame, self.colour, false));
        Ok(if self.frame.progressive { strips.of(self.coefficients, &steps) } else { strips.finish() })
    }
}
