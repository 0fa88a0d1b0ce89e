//! Scans of frames that are not progressive: all coefficients of a block at once.

use super::bits::Bits;
use super::frame::{Block, Scan, ZIGZAG};
use super::huffman::Huffman;
use super::segments::Tables;
use super::strips::Strips;

/// What a part of a scan needs.
struct Source<'t> {
    dc: &'t Huffman,
    ac: &'t Huffman,
    /// The last first coefficient.
    last: i32,
}

/// Reads a scan into `strips`: how long its data are, and how many bytes of them were not needed.
///
/// # Errors
/// Data are damaged or missing.
pub(super) fn scan(
    scan: &Scan,
    tables: &Tables,
    data: &[u8],
    steps: &[Block],
    strips: &mut Strips,
) -> Result<(usize, usize), String> {
    let mut sources = Vec::new();
    for part in &scan.parts {
        let missing = "a Huffman table is missing";
        let (dc, ac) = (tables.dc[part.dc].as_ref(), tables.ac[part.ac].as_ref());
        sources.push(Source { dc: dc.ok_or(missing)?, ac: ac.ok_or(missing)?, last: 0 });
    }
    let rows = scan.parts.iter().map(|p| vec![[0; 64]; p.down * p.across * scan.columns]).collect();
    let mut reader = Reader { scan, sources, bits: Bits::new(data), restart: tables.restart, mcu: 0, rows };
    for row in 0..scan.rows {
        reader.read()?;
        for (part, blocks) in scan.parts.iter().zip(&reader.rows) {
            let across = part.across * scan.columns;
            strips.planes[part.component].put(row * part.down, across, blocks, &steps[part.component]);
        }
        strips.read(row + 1, scan);
    }
    Ok(reader.bits.finish()?)
}

struct Reader<'s, 'd> {
    scan: &'s Scan,
    sources: Vec<Source<'s>>,
    bits: Bits<'d>,
    restart: usize,
    /// MCUs read.
    mcu: usize,
    /// The blocks of a row of MCUs, by part of the scan.
    rows: Vec<Vec<Block>>,
}

impl Reader<'_, '_> {
    /// Reads a row of MCUs.
    fn read(&mut self) -> Result<(), &'static str> {
        for column in 0..self.scan.columns {
            if self.restart > 0 && self.mcu > 0 && self.mcu.is_multiple_of(self.restart) {
                self.bits.restart(self.mcu / self.restart - 1)?;
                self.sources.iter_mut().for_each(|s| s.last = 0);
            }
            self.mcu += 1;
            for ((part, source), blocks) in self.scan.parts.iter().zip(&mut self.sources).zip(&mut self.rows)
            {
                for down in 0..part.down {
                    let start = (down * self.scan.columns + column) * part.across;
                    for block in &mut blocks[start..start + part.across] {
                        source.block(&mut self.bits, block)?;
                    }
                }
            }
        }
        self.bits.check()
    }
}

impl Source<'_> {
    #[inline(always)]
    fn block(&mut self, bits: &mut Bits, block: &mut Block) -> Result<(), &'static str> {
        *block = [0; 64];
        bits.refill();
        let size = self.dc.symbol(bits)?;
        if size > 15 {
            return Err("the data are damaged: a difference is too large");
        }
        self.last = self.last.wrapping_add(bits.difference(u32::from(size)));
        block[0] = self.last as i16;
        let mut at = 1;
        while at < 64 {
            bits.refill();
            let value = match self.ac.short(bits) {
                Some((value, zeros)) => {
                    at += zeros;
                    value
                }
                None => {
                    let symbol = self.ac.symbol(bits)?;
                    let (zeros, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
                    match (zeros, size) {
                        (15, 0) => {
                            at += 16;
                            continue;
                        }
                        (_, 0) => return Ok(()),
                        _ => {}
                    }
                    at += zeros;
                    bits.difference(size) as i16
                }
            };
            let place = ZIGZAG.get(at).ok_or("the data are damaged: a block is too long")?;
            block[usize::from(place & 63)] = value;
            at += 1;
        }
        if at == 64 { Ok(()) } else { Err("the data are damaged: a block is too long") }
    }
}
