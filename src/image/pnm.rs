//! Reads PBM, PGM and PPM: `P1` to `P6`, of up to 16 bits per sample.

use super::PixelMode;
use super::wide::{SampleKind, SampleRange, Wide, WideSamples};

/// The header of a picture, and the bytes after it.
pub(super) struct Header<'a> {
    pub width: usize,
    pub height: usize,
    /// The value of white.
    most: u16,
    /// The digit after `P`.
    form: u8,
    rest: &'a [u8],
}

/// 8-bit samples and the values that became black and white.
pub(super) struct Content {
    pub mode: PixelMode,
    pub samples: Vec<u8>,
    pub range: Option<(f64, f64)>,
    pub warnings: Vec<String>,
    /// Pictures in the file.
    pub pages: usize,
}

/// Whether the content begins as a PNM does.
pub(super) fn is_pnm(bytes: &[u8]) -> bool {
    matches!(bytes, [b'P', b'1'..=b'6', next, ..] if next.is_ascii_whitespace() || *next == b'#')
}

/// The next number, after white space and comments, and the bytes after it.
fn number(mut bytes: &[u8]) -> Option<(u32, &[u8])> {
    loop {
        bytes = bytes.trim_ascii_start();
        let Some(comment) = bytes.strip_prefix(b"#") else { break };
        let end = comment.iter().position(|b| matches!(b, b'\n' | b'\r'))?;
        bytes = &comment[end..];
    }
    let length = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    let (digits, rest) = bytes.split_at(length);
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, rest))
}

impl<'a> Header<'a> {
    /// # Errors
    /// The header is damaged: the reason.
    pub fn read(bytes: &'a [u8]) -> Result<Self, String> {
        Self::parse(bytes).ok_or_else(|| "its header is damaged".to_owned())
    }

    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (&[_, digit], rest) = bytes.split_first_chunk::<2>()?;
        let form = digit - b'0';
        let (width, rest) = number(rest)?;
        let (height, rest) = number(rest)?;
        let (most, rest) = if form % 3 == 1 { (1, rest) } else { number(rest)? };
        let most = u16::try_from(most).ok().filter(|&most| most > 0)?;
        // A single white space stands before binary samples.
        let rest =
            if form > 3 { rest.split_first().filter(|(b, _)| b.is_ascii_whitespace())?.1 } else { rest };
        let (width, height) = (width as usize, height as usize);
        (width > 0 && height > 0).then_some(Self { width, height, most, form, rest })
    }

    fn channels(&self) -> usize {
        if self.form.is_multiple_of(3) { 3 } else { 1 }
    }

    /// Bits per sample.
    pub fn depth(&self) -> u32 {
        match (self.form % 3, self.most) {
            (1, _) => 1,
            (_, ..=255) => 8,
            _ => u16::BITS - self.most.leading_zeros(),
        }
    }

    /// Bytes of the samples in memory; `None`: more than can be counted.
    pub fn bytes(&self) -> Option<usize> {
        self.width
            .checked_mul(self.height)?
            .checked_mul(self.channels() * if self.most > 255 { 2 } else { 1 })
    }

    /// Reads the samples; the size was checked.
    ///
    /// # Errors
    /// The file ends early, or a value is larger than that of white.
    pub fn content(&self, range: SampleRange) -> Result<Content, String> {
        let count = self.width * self.height * self.channels();
        let wide = self.most > 255;
        let (values, rest) = match self.form {
            1 => self.bits_as_text(count),
            2 | 3 => self.text(count),
            4 => {
                let stride = self.width.div_ceil(8);
                let packed = self.rest.get(..stride * self.height);
                let bit = |row: &[u8], x: usize| u16::from(row[x / 8] >> (7 - x % 8) & 1 ^ 1);
                let rows = packed.map(|packed| packed.chunks_exact(stride));
                let values = |rows: std::slice::ChunksExact<'_, u8>| {
                    rows.flat_map(|row| (0..self.width).map(move |x| bit(row, x))).collect()
                };
                rows.map(|rows| (values(rows), &self.rest[stride * self.height..]))
            }
            _ if wide => self.rest.split_at_checked(2 * count).map(|(samples, rest)| {
                (samples.as_chunks::<2>().0.iter().map(|&b| u16::from_be_bytes(b)).collect(), rest)
            }),
            _ => self
                .rest
                .split_at_checked(count)
                .map(|(samples, rest)| (samples.iter().copied().map(u16::from).collect::<Vec<u16>>(), rest)),
        }
        .ok_or("the file ends before the end of the picture, or its text is damaged")?;
        if values.iter().any(|&v| v > self.most) {
            return Err(format!("it has values above {}, which its header calls the largest", self.most));
        }
        let (samples, range, warning) = if wide {
            let channels = self.channels();
            let declared = Some((0.0, f64::from(self.most)));
            let values = Wide::U16(values);
            let kind = SampleKind::Unsigned;
            let samples = WideSamples { values, channels, colours: channels, bits: 16, kind, declared };
            let narrowed = samples.narrow(range)?;
            (narrowed.samples, narrowed.range, narrowed.warning)
        } else {
            let most = self.most;
            let scaled = |v: u16| ((u32::from(v) * 255 + u32::from(most) / 2) / u32::from(most)) as u8;
            (values.into_iter().map(scaled).collect(), None, None)
        };
        let mode = match self.form % 3 {
            1 => PixelMode::Bilevel,
            2 => PixelMode::Gray,
            _ => PixelMode::Rgb,
        };
        let pages = 1 + self.pages_after(rest);
        Ok(Content { mode, samples, range, warnings: warning.into_iter().collect(), pages })
    }

    fn text(&self, count: usize) -> Option<(Vec<u16>, &'a [u8])> {
        // A sample takes at least two characters.
        let mut values = Vec::with_capacity(count.min(self.rest.len() / 2 + 1));
        let mut rest = self.rest;
        for _ in 0..count {
            let (value, after) = number(rest)?;
            values.push(u16::try_from(value).unwrap_or(u16::MAX));
            rest = after;
        }
        Some((values, rest))
    }

    /// Digits that may stand without white space between them.
    fn bits_as_text(&self, count: usize) -> Option<(Vec<u16>, &'a [u8])> {
        let mut values = Vec::with_capacity(count.min(self.rest.len()));
        let mut bytes = self.rest.iter().enumerate();
        let mut end = 0;
        while values.len() < count {
            let (i, byte) = bytes.next()?;
            end = i + 1;
            match byte {
                b'0' => values.push(1),
                b'1' => values.push(0),
                b'#' => drop(bytes.by_ref().find(|(_, b)| matches!(b, b'\n' | b'\r'))),
                byte if byte.is_ascii_whitespace() => {}
                _ => return None,
            }
        }
        Some((values, &self.rest[end..]))
    }

    /// Binary pictures that follow.
    fn pages_after(&self, rest: &'a [u8]) -> usize {
        let mut rest = rest.trim_ascii_start();
        let mut count = 0;
        while is_pnm(rest) {
            let Some(next) = Self::parse(rest) else { break };
            let row = if next.form == 4 { Some(next.width.div_ceil(8)) } else { None };
            let length = row.map_or_else(|| next.bytes(), |row| row.checked_mul(next.height));
            let Some(after) = length.and_then(|length| next.rest.get(length..)).filter(|_| next.form > 3)
            else {
                break;
            };
            (rest, count) = (after.trim_ascii_start(), count + 1);
        }
        count
    }
}
