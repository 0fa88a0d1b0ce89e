//! The fax compressions of bilevel pictures (CCITT T.4 and T.6). Black is a one.

use fax::BitReader;
use fax::maps::{Mode, black, mode, white};

use super::directory::Refused;

/// The form of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fax {
    /// Runs, each row from a byte of its own.
    Rows,
    /// Runs, or changes against the row above, each row after an end-of-line code.
    Group3,
    /// Changes against the row above.
    Group4,
}

/// The bits of a strip, followed by zeros.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl BitReader for Bits<'_> {
    type Error = ();

    fn peek(&self, bits: u8) -> Option<u16> {
        let byte = |i: usize| u32::from(self.bytes.get(self.at / 8 + i).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        let shifted = (word << (8 + self.at % 8)) >> (32 - u32::from(bits.clamp(1, 16)));
        Some(shifted as u16)
    }

    fn consume(&mut self, bits: u8) -> Result<(), ()> {
        self.at += usize::from(bits);
        if self.at > 8 * self.bytes.len() { Err(()) } else { Ok(()) }
    }

    fn bits_to_byte_boundary(&self) -> u8 {
        (self.at.wrapping_neg() % 8) as u8
    }
}

impl Bits<'_> {
    /// The length of a run.
    fn run(&mut self, is_black: bool) -> Option<usize> {
        let mut length = 0usize;
        loop {
            let part = if is_black { black::decode(self) } else { white::decode(self) }?;
            length += usize::from(part);
            if part < 64 {
                return Some(length);
            }
        }
    }

    /// Skips an end-of-line code with the zeros before it.
    fn end_of_line(&mut self) -> Option<bool> {
        if self.peek(11)? != 0 {
            return Some(false);
        }
        while self.peek(1)? == 0 {
            self.consume(1).ok()?;
        }
        self.consume(1).ok()?;
        Some(true)
    }
}

/// The changes of colour of a row: white to black, black to white, and so on.
#[derive(Default)]
struct Row(Vec<usize>);

impl Row {
    /// A change at `x`; two at one place are none.
    fn change(&mut self, x: usize, width: usize) {
        if self.0.last() == Some(&x) {
            self.0.pop();
        } else if x < width {
            self.0.push(x);
        }
    }

    /// The first changes right of `a0` (`None`: the row's start), the first of them to the colour that is not
    /// `is_black`.
    fn changes_after(&self, a0: Option<usize>, is_black: bool, width: usize) -> (usize, usize) {
        let mut i = a0.map_or(0, |a0| self.0.partition_point(|&x| x <= a0));
        i += usize::from((i % 2 == 1) != is_black);
        let at = |i: usize| self.0.get(i).copied().unwrap_or(width);
        (at(i), at(i + 1))
    }
}

/// `rows` rows of `width` bits, each row from a byte of its own.
///
/// # Errors
/// The data is damaged or ends early.
pub(super) fn decode(
    form: Fax,
    options: u64,
    bytes: &[u8],
    width: usize,
    rows: usize,
) -> Result<Vec<u8>, Refused> {
    let stride = width.div_ceil(8);
    let mut out = vec![0; stride * rows];
    let mut bits = Bits { bytes, at: 0 };
    let mut above = Row::default();
    for line in out.chunks_exact_mut(stride) {
        let row = row(&mut bits, form, options, &above, width);
        above = row.ok_or("its fax data is damaged or ends early")?;
        for run in above.0.chunks(2) {
            let end = run.get(1).copied().unwrap_or(width);
            blacken(line, run[0], end);
        }
    }
    Ok(out)
}

fn row(bits: &mut Bits<'_>, form: Fax, options: u64, above: &Row, width: usize) -> Option<Row> {
    match form {
        Fax::Rows => {
            bits.at = bits.at.next_multiple_of(8);
            runs(bits, width)
        }
        Fax::Group3 if options & 1 == 0 => {
            bits.end_of_line()?;
            runs(bits, width)
        }
        Fax::Group3 => {
            // The bit after the code says how the row is written.
            if !bits.end_of_line()? {
                return None;
            }
            let plain = bits.peek(1)? == 1;
            bits.consume(1).ok()?;
            if plain { runs(bits, width) } else { changes(bits, above, width) }
        }
        Fax::Group4 => changes(bits, above, width),
    }
}

/// A row of runs.
fn runs(bits: &mut Bits<'_>, width: usize) -> Option<Row> {
    let (mut row, mut x, mut is_black) = (Row::default(), 0, false);
    while x < width {
        x += bits.run(is_black)?;
        if x > width {
            return None;
        }
        row.change(x, width);
        is_black = !is_black;
    }
    Some(row)
}

/// A row of changes against the row above.
fn changes(bits: &mut Bits<'_>, above: &Row, width: usize) -> Option<Row> {
    let (mut row, mut a0, mut is_black) = (Row::default(), None, false);
    while a0.is_none_or(|a0| a0 < width) {
        let (b1, b2) = above.changes_after(a0, is_black, width);
        match mode::decode(bits)? {
            Mode::Pass => a0 = Some(b2),
            Mode::Vertical(by) => {
                let a1 = b1.checked_add_signed(by.into())?;
                if a1 > width || a0.is_some_and(|a0| a1 < a0) {
                    return None;
                }
                row.change(a1, width);
                (a0, is_black) = (Some(a1), !is_black);
            }
            Mode::Horizontal => {
                let a1 = a0.unwrap_or(0).checked_add(bits.run(is_black)?)?;
                let a2 = a1.checked_add(bits.run(!is_black)?)?;
                if a2 > width {
                    return None;
                }
                row.change(a1, width);
                row.change(a2, width);
                a0 = Some(a2);
            }
            Mode::Extension | Mode::EOF => return None,
        }
    }
    Some(row)
}

/// Sets the bits `from..to`.
fn blacken(line: &mut [u8], from: usize, to: usize) {
    let (first, last) = (from / 8, to / 8);
    let (head, tail) = (0xFFu8 >> (from % 8), !(0xFFu16 >> (to % 8)) as u8);
    let mut set = |i: usize, bits: u8| {
        if let Some(byte) = line.get_mut(i) {
            *byte |= bits;
        }
    };
    if first == last {
        return set(first, head & tail);
    }
    set(first, head);
    (first + 1..last).for_each(|i| set(i, 0xFF));
    set(last, tail);
}
