//! Damage to files, the same on every run, as by disks, networks and people.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Numbers that lengths, counts and sides are compared with, or overflow at.
const NUMBERS: [u64; 16] = [
    0,
    1,
    2,
    7,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    i64::MAX as u64,
    u64::MAX,
];

/// Changes bytes.
pub struct Mutator(ChaCha8Rng);

impl Mutator {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number below `end`; 0 if that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { self.0.random_range(0..end) }
    }

    /// `seed` with one to four changes; parts of `other` may be put into it.
    pub fn mutate(&mut self, seed: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..1 + self.below(4) {
            self.change(&mut bytes, other);
        }
        bytes
    }

    /// `seed` with one number of its text changed: the text around it stays well-formed. A `short` change keeps the
    /// length.
    pub fn renumber(&mut self, seed: &[u8], short: bool) -> Vec<u8> {
        let digits: Vec<usize> = (0..seed.len()).filter(|&i| seed[i].is_ascii_digit()).collect();
        let mut bytes = seed.to_vec();
        let Some(&at) = digits.get(self.below(digits.len())) else { return bytes };
        if short {
            bytes[at] = b'0' + self.below(10) as u8;
            return bytes;
        }
        let is_digit = |i: &usize| seed[*i].is_ascii_digit();
        let start = (0..=at).rev().take_while(is_digit).last().unwrap_or(at);
        let end = (at..seed.len()).take_while(is_digit).last().unwrap_or(at) + 1;
        let number = match self.below(4) {
            0 => format!("-{}", self.below(9)),
            1 => "0.5e300".to_owned(),
            2 => self.below(100).to_string(),
            _ => NUMBERS[self.below(NUMBERS.len())].to_string(),
        };
        bytes.splice(start..end, number.into_bytes());
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(bytes.len());
        let (start, end) = self.range(bytes.len());
        match self.below(12) {
            _ if bytes.is_empty() => bytes.extend_from_slice(other),
            0 | 1 => bytes[at] ^= 1 << self.below(8),
            2 => bytes[at] = self.below(256) as u8,
            3..=5 => self.number(bytes, at),
            // Headers decide about most of the rest.
            6 => {
                let at = self.below(bytes.len().min(64));
                self.number(bytes, at);
            }
            7 => bytes.truncate(at),
            8 => drop(bytes.drain(start..end)),
            9 => {
                let part = bytes[start..end].to_vec();
                bytes.splice(at..at, part);
            }
            10 => {
                let (from, to) = self.range(other.len());
                bytes.splice(start..end, other[from..to].iter().copied());
            }
            _ => {
                let middle = start + self.below(end - start);
                bytes[start..end].rotate_left(middle - start);
            }
        }
    }

    fn number(&mut self, bytes: &mut [u8], at: usize) {
        let width = 1 << self.below(4);
        let number = NUMBERS[self.below(NUMBERS.len())];
        let little = number.to_le_bytes();
        let big = number.to_be_bytes();
        let word = if self.below(2) == 0 { &little[..width] } else { &big[8 - width..] };
        for (byte, new) in bytes[at..].iter_mut().zip(word) {
            *byte = *new;
        }
    }

    /// A range of `0..length`, more often a short one.
    fn range(&mut self, length: usize) -> (usize, usize) {
        let start = self.below(length);
        let longest = if self.below(2) == 0 { 16 } else { usize::MAX };
        (start, start + self.below((length - start).min(longest) + 1))
    }
}
