//! Text that people and their editors write: the lines of a stream, with a limit on their length, and whole files.

use std::io::{self, BufRead, Read};

/// Number of bytes kept of a line that is too long.
const KEPT: usize = 800;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The content of a text file without a leading byte order mark, which some editors write.
pub fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)
}

/// The lines of a stream up to a length limit, without a leading byte order mark.
pub struct Lines<R> {
    input: R,
    longest: u64,
    read: u64,
    whole: u64,
    ended: bool,
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// Its bytes without the line end, `\n` or `\r\n`.
    Whole(Vec<u8>),
    /// The beginning of a line above the limit. The rest was skipped.
    TooLong(Vec<u8>),
}

impl<R: BufRead> Lines<R> {
    /// The lines of `input`; at most `longest` bytes of one are in memory.
    pub fn new(input: R, longest: u64) -> Self {
        Self { input, longest, read: 0, whole: 0, ended: false }
    }

    /// Bytes from the start of the stream to the end of the last complete line.
    pub fn whole_bytes(&self) -> u64 {
        self.whole
    }

    /// Whether the last line has no line end because the stream ended.
    pub fn is_torn(&self) -> bool {
        self.whole < self.read
    }

    fn read(&mut self) -> io::Result<Option<Line>> {
        let mut line = Vec::new();
        let limit = self.longest.saturating_add(1);
        let count = self.input.by_ref().take(limit).read_until(b'\n', &mut line)? as u64;
        let is_first = self.read == 0;
        self.read += count;
        if is_first && line.starts_with(BYTE_ORDER_MARK) {
            line.drain(..BYTE_ORDER_MARK.len());
        }
        if line.is_empty() {
            return Ok(None);
        }
        if line.pop_if(|&mut last| last == b'\n').is_some() {
            self.whole = self.read;
        } else if count > self.longest {
            self.read += self.input.skip_until(b'\n')? as u64;
            line.truncate(KEPT);
            return Ok(Some(Line::TooLong(line)));
        }
        line.pop_if(|&mut last| last == b'\r');
        Ok(Some(Line::Whole(line)))
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let line = self.read().transpose();
        self.ended = !matches!(line, Some(Ok(_)));
        line
    }
}
