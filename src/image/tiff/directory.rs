//! The directories of a TIFF file and their fields.

use std::collections::{BTreeMap, HashSet};

/// The reason why a file is refused, for the user.
pub(super) type Refused = String;

/// The order of the bytes of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    /// The number of at most eight bytes.
    pub fn number(self, bytes: &[u8]) -> u64 {
        let join = |number: u64, &byte: &u8| number << 8 | u64::from(byte);
        match self {
            Self::Little => bytes.iter().rev().fold(0, join),
            Self::Big => bytes.iter().fold(0, join),
        }
    }
}

/// A TIFF or BigTIFF file.
#[derive(Debug, Clone, Copy)]
pub(super) struct File<'a> {
    pub bytes: &'a [u8],
    pub order: Order,
    big: bool,
}

/// The type of a field's values, and their number and place.
#[derive(Debug, Clone, Copy)]
struct Field<'a> {
    kind: u16,
    bytes: &'a [u8],
}

/// One directory: the fields by number. Of a repeated field the first counts.
#[derive(Debug, Clone)]
pub(super) struct Directory<'a> {
    order: Order,
    fields: BTreeMap<u16, Field<'a>>,
}

/// Bytes per value by type; `None`: the type is unknown.
fn width(kind: u16) -> Option<u64> {
    Some(match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16 | 17 | 18 => 8,
        _ => return None,
    })
}

/// The order of bytes and whether the file is a BigTIFF; `None`: it is no TIFF.
fn header(bytes: &[u8]) -> Option<(Order, bool)> {
    match bytes.get(..4)? {
        b"II\x2a\0" => Some((Order::Little, false)),
        b"MM\0\x2a" => Some((Order::Big, false)),
        b"II\x2b\0" => Some((Order::Little, true)),
        b"MM\0\x2b" => Some((Order::Big, true)),
        _ => None,
    }
}

impl<'a> File<'a> {
    /// `None`: the content does not begin as a TIFF does.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (order, big) = header(bytes)?;
        Some(Self { bytes, order, big })
    }

    /// `length` bytes at `at`, if the file has them.
    pub fn slice(&self, at: u64, length: u64) -> Option<&'a [u8]> {
        let end = at.checked_add(length)?;
        self.bytes.get(usize::try_from(at).ok()?..usize::try_from(end).ok()?)
    }

    fn number(&self, at: u64, length: u64) -> Option<u64> {
        Some(self.order.number(self.slice(at, length)?))
    }

    /// All directories of the file's chain, in order.
    ///
    /// # Errors
    /// The first one is damaged. A chain that breaks later ends there.
    pub fn directories(&self) -> Result<Vec<Directory<'a>>, Refused> {
        let (at, length) = if self.big { (8, 8) } else { (4, 4) };
        let mut next = self.number(at, length).unwrap_or(0);
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        while next != 0 && seen.insert(next) {
            match self.directory(next) {
                Some((directory, after)) => {
                    found.push(directory);
                    next = after;
                }
                None => break,
            }
        }
        if found.is_empty() {
            Err("the directory of its first page is cut off".to_owned())
        } else {
            Ok(found)
        }
    }

    /// The directory at a place, and the place of the next one.
    fn directory(&self, at: u64) -> Option<(Directory<'a>, u64)> {
        let (count_length, entry, inline) = if self.big { (8, 20, 8) } else { (2, 12, 4) };
        let count = self.number(at, count_length)?;
        let start = at.checked_add(count_length)?;
        let table = self.slice(start, count.checked_mul(entry)?)?;
        let mut fields = BTreeMap::new();
        for row in table.chunks_exact(entry as usize) {
            let tag = self.order.number(&row[..2]) as u16;
            let kind = self.order.number(&row[2..4]) as u16;
            let (values, place) = row[4..].split_at(inline as usize);
            let Some(width) = width(kind) else { continue };
            let length = self.order.number(values).checked_mul(width);
            let bytes = match length {
                Some(length) if length <= inline => place.get(..length as usize),
                Some(length) => self.slice(self.order.number(place), length),
                None => None,
            };
            // A field that lies outside of the file is as good as absent; the layout says whether it is needed.
            if let Some(bytes) = bytes {
                fields.entry(tag).or_insert(Field { kind, bytes });
            }
        }
        let after = self.number(start + table.len() as u64, inline).unwrap_or(0);
        Some((Directory { order: self.order, fields }, after))
    }
}

impl<'a> Directory<'a> {
    pub fn has(&self, tag: u16) -> bool {
        self.fields.contains_key(&tag)
    }

    /// The bytes of a field.
    pub fn raw(&self, tag: u16) -> Option<&'a [u8]> {
        Some(self.fields.get(&tag)?.bytes)
    }

    /// The values of a field of whole numbers without a sign.
    pub fn numbers(&self, tag: u16) -> Option<Vec<u64>> {
        let field = self.fields.get(&tag)?;
        let width = match field.kind {
            1 | 3 | 4 | 13 | 16 | 18 => width(field.kind)?,
            _ => return None,
        };
        Some(field.bytes.chunks_exact(width as usize).map(|b| self.order.number(b)).collect())
    }

    /// The first value of a field of whole numbers without a sign.
    pub fn number(&self, tag: u16) -> Option<u64> {
        self.numbers(tag)?.first().copied()
    }

    /// The values of a field of any type of numbers.
    pub fn reals(&self, tag: u16) -> Option<Vec<f64>> {
        let field = self.fields.get(&tag)?;
        let width = width(field.kind)? as usize;
        let value = |bytes: &[u8]| {
            let number = self.order.number(bytes);
            let half = |part: &[u8]| self.order.number(part);
            let ratio = |a: f64, b: f64| a / b;
            match field.kind {
                5 => ratio(half(&bytes[..4]) as f64, half(&bytes[4..]) as f64),
                10 => ratio(f64::from(half(&bytes[..4]) as i32), f64::from(half(&bytes[4..]) as i32)),
                6 => f64::from(number as i8),
                8 => f64::from(number as i16),
                9 => f64::from(number as i32),
                17 => number as i64 as f64,
                11 => f64::from(f32::from_bits(number as u32)),
                12 => f64::from_bits(number),
                _ => number as f64,
            }
        };
        Some(field.bytes.chunks_exact(width).map(value).collect())
    }
}
