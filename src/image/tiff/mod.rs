//! Reads TIFF and BigTIFF: the fields that say what the samples are, and the samples of one page. What is not
//! known to be read right is refused with a reason that names it.

mod colour;
mod compression;
mod directory;
mod fax;
mod jpeg;
mod layout;
mod unpack;

use std::borrow::Cow;

use compression::Compression;
use directory::{File, Order, Refused};
use layout::{Colour, Layout};

use super::PixelMode;
use super::wide::{SampleKind, SampleRange, Wide, WideSamples, half};

/// A page of a file, before its samples are read.
pub(super) struct Page<'a> {
    file: File<'a>,
    layout: Layout<'a>,
    /// Pages of the file.
    pub pages: usize,
}

/// The samples of a page, and what a user should know.
pub(super) struct Content {
    pub mode: PixelMode,
    pub samples: Vec<u8>,
    /// The values that became black and white.
    pub range: Option<(f64, f64)>,
    pub warnings: Vec<String>,
}

/// Whether the content begins as a TIFF does.
pub(super) fn is_tiff(bytes: &[u8]) -> bool {
    File::new(bytes).is_some()
}

impl<'a> Page<'a> {
    /// The page with a number, counted from 0 without reduced copies and masks.
    ///
    /// # Errors
    /// The file is damaged, or is not read: the reason.
    pub fn open(bytes: &'a [u8], number: usize) -> Result<Self, Refused> {
        let file = File::new(bytes).ok_or("its header is damaged")?;
        let mut directories = file.directories()?;
        if let Some(reason) = directories.first().and_then(layout::camera) {
            return Err(reason);
        }
        let stacked = directories.first().and_then(layout::stacked).unwrap_or(1);
        if directories.iter().any(layout::is_page) {
            directories.retain(layout::is_page);
        }
        let pages = directories.len();
        let directory = directories.get(number).ok_or_else(|| format!("it has {pages} pages only"))?;
        let layout = Layout::read(&file, directory)?;
        Ok(Self { file, layout, pages: if pages == 1 { stacked } else { pages } })
    }

    /// Width and height, before the orientation is applied.
    pub fn size(&self) -> (usize, usize) {
        (self.layout.width, self.layout.height)
    }

    /// The orientation, as in EXIF.
    pub fn orientation(&self) -> u8 {
        self.layout.orientation
    }

    /// Bits per sample.
    pub fn depth(&self) -> u32 {
        self.layout.bits
    }

    /// The type of the samples.
    pub fn kind(&self) -> SampleKind {
        self.layout.kind
    }

    /// Bytes of the samples in memory; `None`: more than can be counted.
    pub fn bytes(&self) -> Option<usize> {
        let each = match (self.layout.kind, self.layout.bits) {
            (SampleKind::Unsigned, ..=8) => 1,
            (SampleKind::Unsigned, ..=16) => 2,
            (SampleKind::Signed, ..=16) | (SampleKind::Float, ..=32) => 4,
            _ => 8,
        };
        let pixels = self.layout.width.checked_mul(self.layout.height)?;
        pixels.checked_mul(self.layout.kept())?.checked_mul(each)
    }

    /// Reads the samples.
    ///
    /// # Errors
    /// They are damaged or cut off, or no range of wide samples is known.
    pub fn read(&self, range: SampleRange) -> Result<Content, Refused> {
        let layout = &self.layout;
        let values = match (layout.kind, layout.bits) {
            (SampleKind::Unsigned, 8) => Wide::U8(self.samples(|row, _, out| out.extend_from_slice(row))?),
            (SampleKind::Unsigned, ..8) => Wide::U8(self.numbers(|v| v as u8)?),
            (SampleKind::Unsigned, ..=16) => Wide::U16(self.numbers(|v| v as u16)?),
            (SampleKind::Unsigned, _) => Wide::F64(self.numbers(|v| v as f64)?),
            (SampleKind::Signed, 8) => Wide::F32(self.numbers(|v| f32::from(v as i8))?),
            (SampleKind::Signed, 16) => Wide::F32(self.numbers(|v| f32::from(v as i16))?),
            (SampleKind::Signed, 32) => Wide::F64(self.numbers(|v| f64::from(v as i32))?),
            (SampleKind::Signed, _) => Wide::F64(self.numbers(|v| v as i64 as f64)?),
            (SampleKind::Float, 16) => Wide::F32(self.numbers(|v| half(v as u16))?),
            (SampleKind::Float, 32) => Wide::F32(self.numbers(|v| f32::from_bits(v as u32))?),
            (SampleKind::Float, _) => Wide::F64(self.numbers(f64::from_bits)?),
        };
        let indexed = matches!(layout.colour, Colour::Palette(_));
        let wide = WideSamples {
            values,
            channels: layout.kept(),
            colours: layout.colour.samples(),
            bits: if indexed { 8 } else { layout.bits },
            kind: layout.kind,
            declared: layout.declared,
        };
        let narrowed = wide.narrow(range)?;
        let mut warnings: Vec<String> = narrowed.warning.into_iter().collect();
        let left_out = layout.samples - layout.kept();
        if left_out > 0 {
            warnings.push(format!("{left_out} of {} samples per pixel are not used", layout.samples));
        }
        Ok(Content {
            mode: colour::mode(layout),
            samples: colour::convert(narrowed.samples, layout),
            range: narrowed.range,
            warnings,
        })
    }

    fn numbers<T: Copy + Default>(&self, value: impl Fn(u64) -> T) -> Result<Vec<T>, Refused> {
        let (order, bits) = (self.file.order, self.layout.bits);
        self.samples(|row, count, out| unpack::numbers(row, order, bits, count, |v| out.push(value(v))))
    }

    /// The samples of the picture, interleaved; `unpack` appends the samples of a row of a strip or tile.
    fn samples<T: Copy + Default>(
        &self,
        unpack: impl Fn(&[u8], usize, &mut Vec<T>),
    ) -> Result<Vec<T>, Refused> {
        let layout = &self.layout;
        let (kept, interleaved) = (layout.kept(), layout.interleaved());
        let (across, down) = layout.grid();
        let (planes, together) = if layout.planar { (kept, 1) } else { (1, kept) };
        let mut out = vec![T::default(); layout.width * layout.height * kept];
        let mut row = Vec::new();
        for plane in 0..planes {
            for index in 0..across * down {
                let (left, top) =
                    (index % across * layout.chunks.width, index / across * layout.chunks.height);
                let shown = layout.chunks.width.min(layout.width - left);
                let rows = layout.chunks.height.min(layout.height - top);
                let (bytes, stride) = self.chunk(plane * across * down + index, rows)?;
                for (y, bytes) in bytes.chunks_exact(stride).take(rows).enumerate() {
                    row.clear();
                    unpack(bytes, layout.chunks.width * interleaved, &mut row);
                    let start = ((top + y) * layout.width + left) * kept + plane;
                    let pixels = out[start..].chunks_mut(kept).take(shown);
                    for (pixel, from) in pixels.zip(row.chunks_exact(interleaved)) {
                        pixel[..together].copy_from_slice(&from[..together]);
                    }
                }
            }
        }
        Ok(out)
    }

    /// The unpacked bytes of a strip or tile, at least of its first `rows` rows, and the bytes of a row.
    fn chunk(&self, index: usize, rows: usize) -> Result<(Cow<'a, [u8]>, usize), Refused> {
        let layout = &self.layout;
        let (width, samples) = (layout.chunks.width, layout.interleaved());
        let rows = if layout.chunks.tiled { layout.chunks.height } else { rows };
        let stride = width.checked_mul(samples * layout.bits as usize).map(|bits| bits.div_ceil(8));
        let most = self.bytes().unwrap_or(usize::MAX).saturating_mul(2).saturating_add(64 << 20);
        let length = stride.and_then(|stride| stride.checked_mul(rows)).filter(|&length| length <= most);
        let (Some(stride), Some(length)) = (stride, length) else {
            return Err("its strips or tiles are too large for its size".to_owned());
        };
        let bytes = self.stored(index)?;
        let bytes = if layout.reversed && layout.compression != Compression::Jpeg {
            Cow::Owned(bytes.iter().map(|byte| byte.reverse_bits()).collect())
        } else {
            Cow::Borrowed(bytes)
        };
        match (layout.compression, &layout.colour) {
            (Compression::Jpeg, colour) => {
                let stored = match colour {
                    _ if layout.planar => &Colour::BlackIsZero,
                    _ if layout.inks => &Colour::Cmyk,
                    colour => colour,
                };
                let (out, found, high) = jpeg::decode(&bytes, layout.jpeg_tables, stored, (width, rows))?;
                if high < rows.min(layout.height) {
                    return Err(format!(
                        "a strip or tile has {found} x {high} pixels, expected {width} x {rows}"
                    ));
                }
                Ok((out.into(), stride))
            }
            (Compression::Fax(form), _) => {
                Ok((fax::decode(form, layout.t4_options, &bytes, width, rows)?.into(), stride))
            }
            (compression, Colour::YCbCr(of)) => {
                let packed = compression.decompress(&bytes, of.length(width, rows))?;
                Ok((of.expand(&packed, width, rows).into(), stride))
            }
            (compression, _) => {
                let bytes = match (compression.decompress(&bytes, length)?, &bytes) {
                    // Not copied, if nothing was done to the bytes of the file.
                    (Cow::Borrowed(_), Cow::Borrowed(stored)) => Cow::Borrowed(&stored[..length]),
                    (out, _) => Cow::Owned(out.into_owned()),
                };
                Ok((self.unpredicted(bytes, stride), stride))
            }
        }
    }

    /// The bytes of a strip or tile in the file.
    fn stored(&self, index: usize) -> Result<&'a [u8], Refused> {
        let chunks = &self.layout.chunks;
        let offset = chunks.offsets.get(index).copied().unwrap_or(0);
        let rest = (self.file.bytes.len() as u64).saturating_sub(offset);
        let length = chunks.lengths.as_ref().map_or(Some(rest), |all| all.get(index).copied()).unwrap_or(0);
        match self.file.slice(offset, length) {
            Some([]) | None => Err("a strip or tile is missing or lies outside of the file".to_owned()),
            Some(bytes) => Ok(bytes),
        }
    }

    fn unpredicted(&self, bytes: Cow<'a, [u8]>, stride: usize) -> Cow<'a, [u8]> {
        let (order, bits, samples) = (self.file.order, self.layout.bits, self.layout.interleaved());
        let undo: fn(&mut [u8], Order, u32, usize) = match self.layout.predictor {
            2 => unpack::sum,
            3 => unpack::unsort,
            _ => return bytes,
        };
        let mut bytes = bytes.into_owned();
        bytes.chunks_exact_mut(stride).for_each(|row| undo(row, order, bits, samples));
        bytes.into()
    }
}
