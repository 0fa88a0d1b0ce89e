//! The lines of a file of results.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::BatchError;
use crate::output::Record;
use crate::{Error, Result};

/// Longest line that is read, in bytes: a record with a million regions would be longer, and is not one of ours.
const LONGEST_LINE: u64 = 64 << 20;

/// Bytes that are read at a time.
const BUFFER: usize = 256 << 10;

/// Calls `each` with every record of a file of results, in order. A last line without its end is one that is being
/// written, and ignored.
///
/// # Errors
/// A file that cannot be read, or that holds a line that is no record.
pub fn read_records(path: &Path, mut each: impl FnMut(Record)) -> Result<()> {
    let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    for_each_line(&file, path, |_, record| {
        each(record);
        Ok(())
    })
    .map(drop)
}

/// Calls `each` with the record of every whole line and where the line begins; returns where the last one ends.
pub(super) fn for_each_line(
    file: &File,
    path: &Path,
    mut each: impl FnMut(u64, Record) -> io::Result<()>,
) -> Result<u64> {
    let io = |e| Error::io("read", path, e);
    let damaged = |line, reason| BatchError::Damaged { path: path.to_owned(), line, reason };
    let mut reader = BufReader::with_capacity(BUFFER, file);
    reader.seek(SeekFrom::Start(0)).map_err(io)?;
    let (mut line, mut end) = (Vec::new(), 0);
    for number in 1.. {
        line.clear();
        reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line).map_err(io)?;
        if line.len() as u64 == LONGEST_LINE {
            return Err(damaged(number, "the line is too long".to_owned()).into());
        }
        if line.last() != Some(&b'\n') {
            break;
        }
        // An empty line is an editor's.
        if !line.trim_ascii().is_empty() {
            let record = Record::parse(&line).map_err(|reason| damaged(number, reason))?;
            each(end, record).map_err(io)?;
        }
        end += line.len() as u64;
    }
    Ok(end)
}

/// The line that begins at `offset`.
pub(super) fn line_at(file: &mut File, offset: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut line = Vec::new();
    BufReader::with_capacity(4 << 10, file).take(LONGEST_LINE).read_until(b'\n', &mut line)?;
    Ok(line)
}
