//! Masks in NumPy's format (`.npy`): arrays of Booleans, integers or floats with two dimensions.

use super::{Picture, PixelMode};

const MAGIC: &[u8] = b"\x93NUMPY";

/// The largest header that is read; that of an array of numbers has about 120 bytes.
const LARGEST_HEADER: usize = 64 << 10;

pub(super) fn is_npy(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// The mask of an array `[H, W]`, or with further dimensions of length 1: 255 where a value is not 0.
///
/// # Errors
/// The reason why the content is not such an array, or has more than `max_pixels`.
pub(super) fn mask(bytes: &[u8], max_pixels: u64) -> Result<Picture, String> {
    let (header, data) = split(bytes).ok_or("its header is damaged or cut off")?;
    let field = |name: &str| field(header, name).ok_or(format!("its header has no `{name}`"));
    let descr = field("descr")?.trim_start_matches(['\'', '"']);
    let (order, rest) =
        descr.split_at_checked(1).filter(|(o, _)| "<>|=".contains(*o)).unwrap_or(("=", descr));
    let kind: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
    let size = match kind.as_str() {
        "b1" | "?" | "u1" | "i1" => 1,
        "u2" | "i2" | "f2" => 2,
        "u4" | "i4" | "f4" => 4,
        "u8" | "i8" | "f8" => 8,
        _ => {
            return Err(format!(
                "its values are of the type `{kind}`: expected Booleans, integers or floats"
            ));
        }
    };
    let by_columns = field("fortran_order")?.starts_with("True");
    let [height, width] = sides(field("shape")?)?;
    let too_large = || format!("{width} x {height} pixels are too many");
    let count = height.checked_mul(width).filter(|&n| n as u64 <= max_pixels).ok_or_else(too_large)?;
    let data = count.checked_mul(size).and_then(|length| data.get(..length));
    let data = data.ok_or("the file ends before its last value")?;
    // The sign of a zero does not make it another number.
    let sign = if !kind.starts_with('f') {
        None
    } else if order == ">" {
        Some(0)
    } else {
        Some(size - 1)
    };
    let is_set = |value: &[u8]| {
        value.iter().enumerate().any(|(i, &byte)| if sign == Some(i) { byte & 0x7f != 0 } else { byte != 0 })
    };
    let mut samples = vec![0; count];
    for (i, _) in data.chunks_exact(size).enumerate().filter(|(_, value)| is_set(value)) {
        let at = if by_columns { i % height * width + i / height } else { i };
        samples[at] = 255;
    }
    Picture::new(width, height, PixelMode::Gray, samples).ok_or_else(too_large)
}

/// The header's text, and the data after it.
fn split(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (&major, rest) = bytes.strip_prefix(MAGIC)?.split_first()?;
    let rest = rest.get(1..)?;
    let (length, rest) = match major {
        1 => rest.split_first_chunk::<2>().map(|(n, rest)| (usize::from(u16::from_le_bytes(*n)), rest))?,
        2 | 3 => rest.split_first_chunk::<4>().map(|(n, rest)| (u32::from_le_bytes(*n) as usize, rest))?,
        _ => return None,
    };
    let (header, data) = rest.split_at_checked(length).filter(|_| length <= LARGEST_HEADER)?;
    Some((std::str::from_utf8(header).ok()?, data))
}

/// The text after a key of the header's dictionary.
fn field<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let after = ['\'', '"'].iter().find_map(|quote| header.split_once(&format!("{quote}{name}{quote}")))?.1;
    Some(after.trim_start().strip_prefix(':')?.trim_start())
}

/// Height and width of a shape such as `(96, 64)` or `(1, 96, 64)`.
fn sides(shape: &str) -> Result<[usize; 2], String> {
    let inner = shape.strip_prefix('(').and_then(|s| s.split_once(')')).map(|(inner, _)| inner);
    let all: Option<Vec<usize>> = inner.and_then(|inner| {
        inner.split(',').map(str::trim).filter(|n| !n.is_empty()).map(|n| n.parse().ok()).collect()
    });
    let mut sides = all.ok_or("its shape is damaged")?;
    while let Some(at) = sides.iter().position(|&n| n == 1).filter(|_| sides.len() > 2) {
        sides.remove(at);
    }
    sides.try_into().map_err(|all: Vec<usize>| format!("it has {} dimensions, expected 2", all.len()))
}
