//! Huffman tables.

use super::bits::{Bits, extend};

/// Bits of the codes that are found at once.
const QUICK: u32 = 10;

/// A Huffman table.
pub(super) struct Huffman {
    /// By the next bits: the symbol above the length of its code; 0 for longer codes.
    quick: Vec<u16>,
    /// By the next bits: a coefficient, the zeros before it and all its bits (16, 8 and 8 bits), if it fits.
    values: Vec<u32>,
    /// By length: the first value of 16 bits that is too large for a code of the length.
    ends: [u32; 17],
    /// By length: what added to a code is its symbol's index.
    offsets: [i32; 17],
    symbols: Vec<u8>,
}

/// What a damaged code is called.
const NO_CODE: &str = "the data are damaged: a code does not exist";

impl Huffman {
    /// A table from the number of codes of each length and the symbols in their order; `None` if the codes do not fit.
    pub fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let (mut quick, mut values) = (vec![0u16; 1 << QUICK], vec![0u32; 1 << QUICK]);
        let (mut ends, mut offsets) = ([0; 17], [0; 17]);
        let (mut code, mut next) = (0u32, 0usize);
        for (length, &count) in (1u32..).zip(counts) {
            offsets[length as usize] = next as i32 - code as i32;
            for _ in 0..count {
                let symbol = *symbols.get(next)?;
                // One past the last code of this length is the first that does not fit.
                if code >= 1 << length {
                    return None;
                }
                if length <= QUICK {
                    let spare = QUICK - length;
                    for low in 0..1u32 << spare {
                        let place = (code << spare | low) as usize;
                        quick[place] = u16::from(symbol) << 8 | length as u16;
                        let (zeros, bits) = (u32::from(symbol >> 4), u32::from(symbol & 15));
                        if bits > 0 && bits <= spare {
                            let value = extend(low >> (spare - bits), bits) as i16 as u16;
                            values[place] = u32::from(value) << 16 | zeros << 8 | (length + bits);
                        }
                    }
                }
                code += 1;
                next += 1;
            }
            ends[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Some(Self { quick, values, ends, offsets, symbols: symbols.to_vec() })
    }

    /// The next symbol. 32 bits are ready before, 16 after it.
    #[inline(always)]
    pub fn symbol(&self, bits: &mut Bits) -> Result<u8, &'static str> {
        let found = self.quick[bits.peek(QUICK) as usize];
        if found != 0 {
            bits.skip(u32::from(found & 0xFF));
            return Ok((found >> 8) as u8);
        }
        self.long(bits)
    }

    #[cold]
    fn long(&self, bits: &mut Bits) -> Result<u8, &'static str> {
        let next = bits.peek(16);
        let length = (QUICK + 1..=16).find(|&l| next < self.ends[l as usize]).ok_or(NO_CODE)?;
        let index = (next >> (16 - length)) as i32 + self.offsets[length as usize];
        bits.skip(length);
        self.symbols.get(index as usize).copied().ok_or(NO_CODE)
    }

    /// The next coefficient if code and value are short: its value and the zeros before it. 32 bits are ready.
    #[inline(always)]
    pub fn short(&self, bits: &mut Bits) -> Option<(i16, usize)> {
        let found = self.values[bits.peek(QUICK) as usize];
        if found == 0 {
            return None;
        }
        bits.skip(found & 0xFF);
        Some(((found >> 16) as i16, (found >> 8 & 0xFF) as usize))
    }
}
