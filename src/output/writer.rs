//! Records as text, JSON, JSON lines and CSV.

use std::borrow::Cow;
use std::io::{self, Write};

use serde_json::Value;

use super::{Outcome, Patient, Record, printable};

/// The format of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RecordFormat {
    /// A line for people: score, verdict, path. Failed pictures have no line.
    #[default]
    Text,
    /// One indented JSON object for a single record, else an array of objects.
    Json,
    /// One JSON object per line.
    JsonLines,
    /// Comma-separated values with a header line, [`COLUMNS`].
    Csv,
    /// The same after a byte order mark, by which Excel knows that the text is UTF-8.
    CsvBom,
}

/// The byte order mark of UTF-8.
pub const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A text as a cell of a table: a spreadsheet would run one that begins with `=`, `+`, `-`, `@` (also as wide characters),
/// a tab or a line break as a formula, so that it gets a `'` before it.
pub fn cell(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r', '\n']) {
        format!("'{text}").into()
    } else {
        text.into()
    }
}

/// The columns of the CSV form: the fields of the JSON form, with a dot for nested fields; `regions` is JSON.
pub const COLUMNS: [&str; 49] = [
    "schema",
    "path",
    "name",
    "name_base64",
    "bytes",
    "modified",
    "sha256",
    "model",
    "method",
    "class",
    "score",
    "anomalous",
    "threshold",
    "components.image",
    "components.map_min",
    "components.map_max",
    "components.map_mean",
    "region_threshold",
    "regions",
    "size.width",
    "size.height",
    "image_size",
    "tiles",
    "files.heatmap",
    "files.overlay",
    "files.mask",
    "files.raw",
    "timing_ms.decode",
    "timing_ms.preprocess",
    "timing_ms.model",
    "timing_ms.map",
    "timing_ms.write",
    "timing_ms.total",
    "error.kind",
    "error.message",
    "warning",
    "map_probability.min",
    "map_probability.max",
    "map_range.good",
    "map_range.damaged",
    "files.map",
    "stretched",
    "decoding.depth",
    "decoding.samples",
    "decoding.range.min",
    "decoding.range.max",
    "decoding.pages",
    "decoding.orientation",
    "decoding.warnings",
];

/// Writes records and flushes each, so that readers see a picture's result immediately. It waits for readers of a pipe
/// that does not block.
pub struct RecordWriter<W: Write> {
    out: Patient<W>,
    format: RecordFormat,
    /// Whether a JSON array is written instead of one object.
    array: bool,
    written: usize,
}

impl<W: Write> RecordWriter<W> {
    /// A writer; `many` means that there may be several records, which makes [`RecordFormat::Json`] an array.
    pub fn new(out: W, format: RecordFormat, many: bool) -> Self {
        Self { out: Patient(out), format, array: many, written: 0 }
    }

    /// Writes one record.
    ///
    /// # Errors
    /// Errors of the underlying writer.
    pub fn write(&mut self, record: &Record) -> io::Result<()> {
        match self.format {
            RecordFormat::Text => match text_line(record) {
                Some(line) => writeln!(self.out, "{line}")?,
                None => return Ok(()),
            },
            RecordFormat::JsonLines => {
                serde_json::to_writer(&mut self.out, record)?;
                self.out.write_all(b"\n")?;
            }
            RecordFormat::Json if self.array => {
                self.out.write_all(if self.written == 0 { b"[\n" } else { b",\n" })?;
                serde_json::to_writer_pretty(&mut self.out, record)?;
            }
            RecordFormat::Json => {
                serde_json::to_writer_pretty(&mut self.out, record)?;
                self.out.write_all(b"\n")?;
            }
            RecordFormat::Csv | RecordFormat::CsvBom => {
                if self.written == 0 {
                    self.head()?;
                }
                csv::Writer::from_writer(&mut self.out).write_record(row(record)?)?;
            }
        }
        self.written += 1;
        self.out.flush()
    }

    /// Writes the end of the output.
    ///
    /// # Errors
    /// Errors of the underlying writer.
    pub fn finish(mut self) -> io::Result<()> {
        match self.format {
            RecordFormat::Json if self.array => {
                self.out.write_all(if self.written == 0 { b"[]\n" } else { b"\n]\n" })?;
            }
            RecordFormat::Csv | RecordFormat::CsvBom if self.written == 0 => self.head()?,
            _ => {}
        }
        self.out.flush()
    }

    /// The header line of CSV.
    fn head(&mut self) -> io::Result<()> {
        if self.format == RecordFormat::CsvBom {
            self.out.write_all(BYTE_ORDER_MARK.as_bytes())?;
        }
        Ok(csv::Writer::from_writer(&mut self.out).write_record(COLUMNS)?)
    }
}

fn text_line(record: &Record) -> Option<String> {
    let Outcome::Scored(scored) = &record.outcome else { return None };
    let verdict = match scored.anomalous {
        None => "",
        Some(true) => "ANOMALOUS  ",
        Some(false) => "normal     ",
    };
    Some(format!("{:.4}  {verdict}{}", scored.score, printable(&record.input.path)))
}

/// The values of [`COLUMNS`].
fn row(record: &Record) -> io::Result<Vec<String>> {
    // Through text, to keep the shortest form of 32-bit floats.
    let value: Value = serde_json::from_slice(&serde_json::to_vec(record)?)?;
    let field = |column: &&str| {
        let found = column.split('.').try_fold(&value, |value, key| value.get(key));
        match found {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => cell(text).into_owned(),
            Some(other) => other.to_string(),
        }
    };
    Ok(COLUMNS.iter().map(field).collect())
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::{failed, record};
    use super::*;

    fn written(format: RecordFormat, many: bool, records: &[Record]) -> String {
        let mut out = Vec::new();
        let mut writer = RecordWriter::new(&mut out, format, many);
        records.iter().for_each(|r| writer.write(r).unwrap());
        writer.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_forms_parse_to_the_same_values() {
        let records = [record("a, \"b\".png"), failed("ü.png")];
        let lines = written(RecordFormat::JsonLines, true, &records);
        let lines: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let array: Value = serde_json::from_str(&written(RecordFormat::Json, true, &records)).unwrap();
        assert_eq!(array, Value::Array(lines.clone()));
        let one: Value = serde_json::from_str(&written(RecordFormat::Json, false, &records[..1])).unwrap();
        assert_eq!(one, lines[0]);
        assert_eq!(written(RecordFormat::Json, true, &[]), "[]\n");
        assert_eq!(one["score"], 0.25);
    }

    #[test]
    fn csv_has_no_formulas_and_a_mark_on_request() {
        let records = ["=1+1.png", "-a.png", "+b.png", "＠c.png", "d=1.png"].map(record);
        let text = written(RecordFormat::CsvBom, true, &records);
        let text = text.strip_prefix('\u{feff}').unwrap();
        assert_eq!(text, written(RecordFormat::Csv, true, &records));
        let mut rows = csv::Reader::from_reader(text.as_bytes());
        let paths: Vec<String> = rows.records().map(|row| row.unwrap()[1].to_owned()).collect();
        assert_eq!(paths, ["'=1+1.png", "'-a.png", "'+b.png", "'＠c.png", "d=1.png"]);
        assert_eq!(written(RecordFormat::CsvBom, true, &[]).matches('\u{feff}').count(), 1);
    }

    #[test]
    fn csv_has_one_header_and_quotes_what_needs_it() {
        let records = [record("a, \"b\".png"), failed("c.png")];
        let text = written(RecordFormat::Csv, true, &records);
        let mut rows = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(rows.headers().unwrap(), &COLUMNS[..]);
        let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
        let at = |row: usize, column: &str| &rows[row][COLUMNS.iter().position(|c| *c == column).unwrap()];
        assert_eq!((at(0, "path"), at(1, "path")), ("a, \"b\".png", "c.png"));
        assert_eq!((at(0, "score"), at(1, "score")), ("0.25", ""));
        assert_eq!((at(0, "error.kind"), at(1, "error.kind")), ("", "empty"));
        assert!(at(0, "regions").starts_with("[{"));
    }

    #[test]
    fn csv_has_every_field_of_the_json_form() {
        let mut all = Vec::new();
        for record in [record("a"), failed("a")] {
            let value = serde_json::to_value(record).unwrap();
            for (key, value) in value.as_object().unwrap() {
                match value {
                    Value::Object(inner) => all.extend(inner.keys().map(|k| format!("{key}.{k}"))),
                    _ => all.push(key.clone()),
                }
            }
        }
        for field in all {
            let inner = COLUMNS.iter().any(|c| c.starts_with(&format!("{field}.")));
            assert!(inner || COLUMNS.contains(&field.as_str()), "{field}");
        }
    }

    #[test]
    fn a_failed_picture_has_no_line_for_a_person() {
        assert_eq!(written(RecordFormat::Text, true, &[failed("a"), record("b")]), "0.2500  normal     b\n");
    }
}
