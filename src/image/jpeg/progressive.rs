//! Scans of progressive frames: some coefficients, or one more bit of them.

use super::bits::Bits;
use super::frame::{Block, Scan, ZIGZAG};
use super::huffman::Huffman;
use super::segments::Tables;
use super::strips::Coefficients;

/// What damaged data are called.
const DAMAGED: &str = "the data are damaged: a block is too long";

struct Reader<'t, 'd> {
    bits: Bits<'d>,
    scan: &'t Scan,
    /// The table of each part; scans of one more bit of the first coefficients have none.
    tables: Vec<Option<&'t Huffman>>,
    /// The last first coefficient of each part.
    last: Vec<i32>,
    /// Blocks from here on without further coefficients.
    empty: u32,
}

/// Reads a scan into the coefficients: how long its data are, and how many bytes of them were not needed.
///
/// # Errors
/// Data are damaged or missing.
pub(super) fn scan(
    scan: &Scan,
    tables: &Tables,
    data: &[u8],
    coefficients: &mut [Coefficients],
) -> Result<(usize, usize), String> {
    let mut used = Vec::new();
    for part in &scan.parts {
        let table = if scan.from > 0 { &tables.ac[part.ac] } else { &tables.dc[part.dc] };
        let needless = scan.from == 0 && scan.high > 0;
        if table.is_none() && !needless {
            return Err("a Huffman table is missing".to_owned());
        }
        used.push(table.as_ref());
    }
    let last = vec![0; scan.parts.len()];
    let mut reader = Reader { bits: Bits::new(data), scan, tables: used, last, empty: 0 };
    let mut mcu = 0;
    for row in 0..scan.rows {
        for column in 0..scan.columns {
            if tables.restart > 0 && mcu > 0 && mcu % tables.restart == 0 {
                reader.bits.restart(mcu / tables.restart - 1)?;
                reader.last.fill(0);
                reader.empty = 0;
            }
            mcu += 1;
            for (index, part) in scan.parts.iter().enumerate() {
                let coefficients = &mut coefficients[part.component];
                for down in 0..part.down {
                    let row = row * part.down + down;
                    for block in coefficients.blocks(row, column * part.across, part.across) {
                        reader.block(index, block)?;
                    }
                }
            }
        }
        reader.bits.check()?;
    }
    Ok(reader.bits.finish()?)
}

impl Reader<'_, '_> {
    fn block(&mut self, part: usize, block: &mut Block) -> Result<(), &'static str> {
        match (self.scan.from, self.scan.high) {
            (0, 0) => self.first(part, block),
            (0, _) => {
                block[0] |= (self.bits.take(1) as i16) << self.scan.low;
                Ok(())
            }
            (_, 0) => self.others(part, block),
            _ => self.refine(part, block),
        }
    }

    fn symbol(&mut self, part: usize) -> Result<u8, &'static str> {
        self.bits.refill();
        self.tables[part].ok_or(DAMAGED)?.symbol(&mut self.bits)
    }

    fn first(&mut self, part: usize, block: &mut Block) -> Result<(), &'static str> {
        let size = self.symbol(part)?;
        if size > 15 {
            return Err("the data are damaged: a difference is too large");
        }
        let difference = self.bits.difference(u32::from(size));
        self.last[part] = self.last[part].wrapping_add(difference);
        block[0] = (self.last[part] << self.scan.low) as i16;
        Ok(())
    }

    fn others(&mut self, part: usize, block: &mut Block) -> Result<(), &'static str> {
        if self.empty > 0 {
            self.empty -= 1;
            return Ok(());
        }
        let mut at = self.scan.from;
        while at <= self.scan.to {
            let symbol = self.symbol(part)?;
            match (usize::from(symbol >> 4), u32::from(symbol & 15)) {
                (15, 0) => at += 16,
                (length, 0) => {
                    self.empty = (1 << length) - 1 + self.bits.take(length as u32);
                    return Ok(());
                }
                (zeros, size) => {
                    at += zeros;
                    let place = ZIGZAG[..=self.scan.to].get(at).ok_or(DAMAGED)?;
                    block[usize::from(*place)] = (self.bits.difference(size) << self.scan.low) as i16;
                    at += 1;
                }
            }
        }
        if at == self.scan.to + 1 { Ok(()) } else { Err(DAMAGED) }
    }

    fn refine(&mut self, part: usize, block: &mut Block) -> Result<(), &'static str> {
        let bit = 1i16 << self.scan.low;
        let mut at = self.scan.from;
        while at <= self.scan.to && self.empty == 0 {
            let symbol = self.symbol(part)?;
            let (zeros, new) = match (symbol >> 4, symbol & 15) {
                (15, 0) => (15, 0),
                (length, 0) => {
                    self.empty = (1 << length) + self.bits.take(u32::from(length));
                    break;
                }
                (zeros, 1) => (zeros, if self.bits.take(1) == 1 { bit } else { -bit }),
                _ => return Err("the data are damaged: a refinement is too large"),
            };
            at = self.pass(block, at, usize::from(zeros));
            if at <= self.scan.to {
                block[usize::from(ZIGZAG[at])] = new;
            } else {
                return Err(DAMAGED);
            }
            at += 1;
        }
        if self.empty > 0 {
            self.pass(block, at, usize::MAX);
            self.empty -= 1;
        }
        Ok(())
    }

    /// Refines coefficients from `at` on up to the zero after `zeros` others: its place.
    fn pass(&mut self, block: &mut Block, mut at: usize, mut zeros: usize) -> usize {
        let bit = 1i16 << self.scan.low;
        while at <= self.scan.to {
            let value = &mut block[usize::from(ZIGZAG[at])];
            if *value == 0 {
                if zeros == 0 {
                    break;
                }
                zeros -= 1;
            } else if self.bits.take(1) == 1 && *value & bit == 0 {
                *value = value.wrapping_add(if *value > 0 { bit } else { -bit });
            }
            at += 1;
        }
        at
    }
}
