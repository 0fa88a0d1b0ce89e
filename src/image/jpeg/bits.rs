//! The bits of a scan's data.

/// Reads bits, the first at the top. Behind the data come zeros, which are counted.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// The byte behind those in the buffer.
    at: usize,
    buffer: u64,
    /// Valid bits in the buffer.
    count: u32,
    /// How many of them were made up; more than `count`: some were used.
    missing: u32,
    excess: usize,
}

/// The reason for data that end early.
pub(super) const ENDS_EARLY: &str = "the file ends before the end of the picture";

impl<'a> Bits<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0, buffer: 0, count: 0, missing: 0, excess: 0 }
    }

    /// Makes at least 32 bits ready.
    #[inline(always)]
    pub fn refill(&mut self) {
        if self.count >= 32 {
            return;
        }
        if let Some(chunk) = self.data.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_be_bytes(*chunk);
            // No byte is 0xFF.
            if (!word).wrapping_sub(0x0101_0101_0101_0101) & word & 0x8080_8080_8080_8080 == 0 {
                let bytes = (64 - self.count) / 8;
                // Without the bytes that do not fit as a whole.
                self.buffer |= (word & (u64::MAX << (64 - 8 * bytes))) >> self.count;
                self.at += bytes as usize;
                self.count += 8 * bytes;
                return;
            }
        }
        self.refill_bytes();
    }

    #[cold]
    fn refill_bytes(&mut self) {
        while self.count <= 56 {
            let byte = match self.data.get(self.at..).unwrap_or_default() {
                [0xFF, 0x00, ..] => {
                    self.at += 2;
                    0xFF
                }
                // A marker or the end.
                [0xFF, ..] | [] => {
                    self.missing += 8;
                    0
                }
                [byte, ..] => {
                    self.at += 1;
                    *byte
                }
            };
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// The next `n` bits, 1 to 16; they must be ready.
    #[inline(always)]
    pub fn peek(&self, n: u32) -> u32 {
        (self.buffer >> (64 - n)) as u32
    }

    /// Leaves out `n` bits that are ready.
    #[inline(always)]
    pub fn skip(&mut self, n: u32) {
        self.buffer <<= n;
        self.count -= n;
    }

    /// The next `n` bits, 0 to 16.
    #[inline(always)]
    pub fn take(&mut self, n: u32) -> u32 {
        self.refill();
        let value = (self.buffer >> 1 >> (63 - n)) as u32;
        self.skip(n);
        value
    }

    /// The next `n` bits, 0 to 15, as the difference that they stand for.
    #[inline(always)]
    pub fn difference(&mut self, n: u32) -> i32 {
        extend(self.take(n), n)
    }

    /// # Errors
    /// More bits were taken than there are.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.missing > self.count { Err(ENDS_EARLY) } else { Ok(()) }
    }

    /// Goes to the next marker: where it is, and how many bytes up to it were not taken.
    ///
    /// # Errors
    /// More bits were taken than there are.
    pub fn finish(&mut self) -> Result<(usize, usize), &'static str> {
        self.check()?;
        self.excess += ((self.count - self.missing) / 8) as usize;
        (self.buffer, self.count, self.missing) = (0, 0, 0);
        loop {
            match self.data.get(self.at..).unwrap_or_default() {
                [] => break,
                // Padding before a marker.
                [0xFF, 0xFF, ..] => self.at += 1,
                [0xFF, 0x00, ..] => (self.at, self.excess) = (self.at + 2, self.excess + 1),
                [0xFF, ..] => break,
                _ => (self.at, self.excess) = (self.at + 1, self.excess + 1),
            }
        }
        Ok((self.at, self.excess))
    }

    /// Goes behind the restart mark with this number.
    ///
    /// # Errors
    /// Data end early, or the next marker is another one.
    pub fn restart(&mut self, number: usize) -> Result<(), &'static str> {
        let (at, _) = self.finish()?;
        match self.data.get(at + 1) {
            Some(&marker) if usize::from(marker) == 0xD0 + number % 8 => self.at += 2,
            None | Some(0xD9) => return Err(ENDS_EARLY),
            _ => return Err("a restart mark is missing"),
        }
        Ok(())
    }
}

/// The difference that `n` bits stand for: the lower half of the numbers is negative.
#[inline(always)]
pub(super) fn extend(value: u32, n: u32) -> i32 {
    let value = value as i32;
    if n > 0 && value < 1 << (n - 1) { value - (1 << n) + 1 } else { value }
}
