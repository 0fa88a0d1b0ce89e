//! Tables (CSV) that list pictures.

use std::io::Read;
use std::path::Path;

use super::DatasetError;
use super::listing::open_metadata;
use super::reading::Reading;

/// A table with its reader.
pub(super) struct Table<'a> {
    file: &'a Path,
    header: csv::StringRecord,
    reader: csv::Reader<Box<dyn Read>>,
}

impl<'a> Table<'a> {
    /// Opens a table and reads its header.
    pub fn open(file: &'a Path) -> Result<Self, DatasetError> {
        let wrong = |e: csv::Error| DatasetError::Metadata(file.to_owned(), e.to_string());
        let content: Box<dyn Read> = Box::new(open_metadata(file)?);
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(content);
        let header = reader.headers().map_err(wrong)?.clone();
        Ok(Self { file, header, reader })
    }

    /// The number of a column.
    pub fn column(&self, name: &str) -> Result<usize, DatasetError> {
        // Some tables start with a byte order mark.
        let plain = |title: &str| title.trim_start_matches('\u{feff}').trim().to_ascii_lowercase();
        self.header.iter().position(|title| plain(title) == name).ok_or_else(|| {
            DatasetError::Metadata(
                self.file.to_owned(),
                format!(
                    "no column `{name}`; the columns are {}",
                    self.header.iter().collect::<Vec<_>>().join(", ")
                ),
            )
        })
    }

    /// The next row and its line number; lines that are not rows are problems of the data set.
    ///
    /// # Errors
    /// Errors of [`Reading::bad_line`].
    pub fn next(
        &mut self,
        reading: &mut Reading,
    ) -> Result<Option<(String, csv::StringRecord)>, DatasetError> {
        loop {
            match self.reader.records().next() {
                None => return Ok(None),
                Some(Err(e)) => reading.bad_line(self.file, "a line", &e.to_string())?,
                Some(Ok(row)) => {
                    let place = format!("line {}", row.position().map_or(0, csv::Position::line));
                    return Ok(Some((place, row)));
                }
            }
        }
    }
}
