//! From the bytes of a strip or tile to its samples.

use std::borrow::Cow;
use std::io::Read;

use weezl::BitOrder;
use weezl::decode::Decoder;

use super::directory::Refused;
use super::fax::Fax;

/// How the bytes of strips and tiles were made smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Lzw,
    Deflate,
    PackBits,
    Zstandard,
    Lzma,
    Fax(Fax),
    Jpeg,
}

impl Compression {
    /// # Errors
    /// The compression is not read; the reason names it.
    pub fn of(number: u64) -> Result<Self, Refused> {
        let name = match number {
            1 => return Ok(Self::None),
            2 => return Ok(Self::Fax(Fax::Rows)),
            3 => return Ok(Self::Fax(Fax::Group3)),
            4 => return Ok(Self::Fax(Fax::Group4)),
            5 => return Ok(Self::Lzw),
            7 => return Ok(Self::Jpeg),
            8 | 32_946 => return Ok(Self::Deflate),
            32_773 => return Ok(Self::PackBits),
            50_000 => return Ok(Self::Zstandard),
            34_925 if cfg!(feature = "cli") => return Ok(Self::Lzma),
            34_925 => "LZMA",
            6 => "old-style JPEG",
            9 | 10 | 34_661 => "JBIG",
            32_766 => "NeXT",
            32_809 => "ThunderScan",
            33_003 | 33_004 | 33_005 | 34_712 => "JPEG 2000",
            34_676 | 34_677 => "SGI LogLuv",
            34_887 => "LERC",
            34_892 => "lossy JPEG of a camera",
            50_001 | 34_927 => "WebP",
            50_002 | 52_546 => "JPEG XL",
            other => return Err(format!("compression {other} is not read")),
        };
        Err(format!("{name} compression is not read"))
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::None => "no",
            Self::Lzw => "LZW",
            Self::Deflate => "Deflate",
            Self::PackBits => "PackBits",
            Self::Zstandard => "Zstandard",
            Self::Lzma => "LZMA",
            Self::Fax(_) => "fax",
            Self::Jpeg => "JPEG",
        }
    }

    /// Whether writers and readers agree on predictors.
    pub fn may_predict(self) -> bool {
        matches!(self, Self::Lzw | Self::Deflate | Self::Zstandard | Self::Lzma)
    }

    /// Most bytes that a byte of the data can become, and more; `None`: there is no such bound.
    fn most_per_byte(self) -> Option<usize> {
        match self {
            Self::None => Some(1),
            Self::PackBits => Some(64),
            Self::Deflate => Some(1100),
            Self::Lzw => Some(4096),
            _ => None,
        }
    }

    /// The first `length` bytes of the content; not for fax and JPEG, which need to know more.
    ///
    /// # Errors
    /// It is damaged, or shorter.
    pub fn decompress(self, bytes: &[u8], length: usize) -> Result<Cow<'_, [u8]>, Refused> {
        // Checked before memory is allocated: so many bytes cannot come from so few.
        if self.most_per_byte().is_some_and(|most| length / most > bytes.len()) {
            return Err("a strip or tile ends early".to_owned());
        }
        let damaged = |_| format!("its {} data is damaged", self.name());
        let read = |reader: &mut dyn Read| {
            let mut out = Vec::with_capacity(self.most_per_byte().map_or(0, |_| length));
            reader.take(length as u64).read_to_end(&mut out).map(|_| out)
        };
        let out = match self {
            Self::None => Cow::Borrowed(&bytes[..bytes.len().min(length)]),
            Self::Deflate => read(&mut flate2::read::ZlibDecoder::new(bytes)).map_err(damaged)?.into(),
            Self::Lzw => lzw(bytes, length).ok_or_else(|| damaged(std::io::ErrorKind::Other.into()))?.into(),
            Self::PackBits => pack_bits(bytes, length).into(),
            Self::Zstandard => {
                let bound = 2 * length as u64 + (16 << 20);
                let reader = ruzstd::decoding::StreamingDecoder::new_with_max_window_size(bytes, bound);
                let mut reader = reader.map_err(|_| damaged(std::io::ErrorKind::Other.into()))?;
                read(&mut reader).map_err(damaged)?.into()
            }
            #[cfg(feature = "cli")]
            Self::Lzma => read(&mut lzma_rust2::XzReader::new_mem_limit(bytes, false, LZMA_KIB))
                .map_err(damaged)?
                .into(),
            _ => return Err(format!("{} compression is not read here", self.name())),
        };
        if out.len() < length { Err("a strip or tile ends early".to_owned()) } else { Ok(out) }
    }
}

/// Memory of the LZMA decoder: enough for the highest preset.
#[cfg(feature = "cli")]
const LZMA_KIB: u32 = 96 << 10;

/// LZW with codes from the highest bit, or with codes from the lowest as of 1987.
fn lzw(bytes: &[u8], length: usize) -> Option<Vec<u8>> {
    let old = matches!(bytes, [0, second, ..] if second & 1 == 1);
    let mut decoder =
        if old { Decoder::new(BitOrder::Lsb, 8) } else { Decoder::with_tiff_size_switch(BitOrder::Msb, 8) };
    let (mut out, mut at, mut rest) = (vec![0; length], 0, bytes);
    while at < length {
        let done = decoder.decode_bytes(rest, &mut out[at..]);
        at += done.consumed_out;
        rest = rest.get(done.consumed_in..)?;
        done.status.ok()?;
        if done.consumed_in == 0 && done.consumed_out == 0 {
            break;
        }
    }
    out.truncate(at);
    Some(out)
}

fn pack_bits(bytes: &[u8], length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(length);
    let mut rest = bytes;
    while let [count, after @ ..] = rest {
        if out.len() >= length {
            break;
        }
        let count = *count as i8;
        rest = match (count, after) {
            (0.., _) => {
                let (run, after) = after.split_at(after.len().min(count as usize + 1));
                out.extend_from_slice(run);
                after
            }
            (-127..=-1, [value, after @ ..]) => {
                out.extend(std::iter::repeat_n(*value, 1 + usize::from(count.unsigned_abs())));
                after
            }
            // A filler, or the end.
            _ => after,
        };
    }
    out.truncate(length);
    out
}
