//! Reads the bytes of a pickle.

use super::{PickleError, Result, Value};

/// Longer than any name or text in a checkpoint.
const LONGEST_TEXT: u64 = 1 << 20;

pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub fn position(&self) -> usize {
        self.at
    }

    fn malformed(&self, what: &str) -> PickleError {
        PickleError::Malformed(self.at, what.to_owned())
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.get(..count));
        let taken = taken.ok_or_else(|| self.malformed("the end of the data"))?;
        self.at += count;
        Ok(taken)
    }

    pub fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    /// Text up to a line break, without it.
    pub fn line(&mut self) -> Result<&'a str> {
        let rest = &self.bytes[self.at.min(self.bytes.len())..];
        let length = rest.iter().take(LONGEST_TEXT as usize).position(|&b| b == b'\n');
        let line = self.take(length.ok_or_else(|| self.malformed("a line without an end"))? + 1)?;
        std::str::from_utf8(&line[..line.len() - 1]).map_err(|_| self.malformed("text that is not UTF-8"))
    }

    fn sized(&mut self, length: u64) -> Result<&'a [u8]> {
        match usize::try_from(length) {
            Ok(n) => self.take(n),
            Err(_) => Err(self.malformed("a length beyond the address space")),
        }
    }

    /// The text of a string opcode.
    pub fn text(&mut self, opcode: u8) -> Result<String> {
        let length = match opcode {
            b'U' | 0x8c => u64::from(self.byte()?),
            b'T' | b'X' => u64::from(u32::from_le_bytes(self.array()?)),
            0x8d => u64::from_le_bytes(self.array()?),
            _ => return Ok(self.line()?.trim_matches(['\'', '"']).to_owned()),
        };
        if length > LONGEST_TEXT {
            return Err(self.malformed("a text longer than any name"));
        }
        let bytes = self.sized(length)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| self.malformed("text that is not UTF-8"))
    }

    /// Skips the content of a bytes opcode.
    pub fn bytes(&mut self, opcode: u8) -> Result<()> {
        let length = match opcode {
            b'C' => u64::from(self.byte()?),
            b'B' => u64::from(u32::from_le_bytes(self.array()?)),
            _ => u64::from_le_bytes(self.array()?),
        };
        self.sized(length).map(drop)
    }

    /// The number of an integer opcode; numbers of more than 64 bits are opaque.
    pub fn long(&mut self, opcode: u8) -> Result<Value> {
        let bytes = match opcode {
            0x8a => {
                let n = self.byte()?;
                self.take(n.into())?
            }
            0x8b => {
                let n = u32::from_le_bytes(self.array()?);
                self.sized(n.into())?
            }
            _ => {
                let line = self.line()?;
                return match line {
                    "00" => Ok(Value::Bool(false)),
                    "01" => Ok(Value::Bool(true)),
                    _ => Ok(line.trim_end_matches('L').parse().map_or(Value::Opaque, Value::Int)),
                };
            }
        };
        if bytes.len() > 8 {
            return Ok(Value::Opaque);
        }
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut word = [if negative { 0xff } else { 0 }; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        Ok(Value::Int(i64::from_le_bytes(word)))
    }

    pub fn memo_index(&mut self, opcode: u8) -> Result<u32> {
        match opcode {
            b'q' | b'h' => Ok(self.byte()?.into()),
            b'r' | b'j' => Ok(u32::from_le_bytes(self.array()?)),
            _ => self.line()?.parse().map_err(|_| self.malformed("an invalid memo number")),
        }
    }
}
