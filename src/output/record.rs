//! Results as text, JSON, JSON lines and CSV.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use crate::Components;
use crate::map::Region;

/// Version of the fields of [`Record`]; changes when one changes its name or meaning.
pub const SCHEMA_VERSION: u32 = 1;

/// The result for one picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record {
    /// [`SCHEMA_VERSION`].
    pub schema: u32,
    /// The picture's file.
    pub path: String,
    /// The model that looked at it.
    pub model: String,
    /// The method.
    pub method: &'static str,
    /// The name put into the prompts.
    pub class: String,
    /// How anomalous the picture is, 0..1, comparable from picture to picture.
    pub score: f32,
    /// Whether the score reaches the threshold; null without one.
    pub anomalous: Option<bool>,
    /// The threshold of the score; null if none was given.
    pub threshold: Option<f32>,
    /// The parts of the score.
    pub components: Components,
    /// The value from which a pixel belongs to a region.
    pub region_threshold: f32,
    /// Connected regions, in pixels of the picture, the highest peak first.
    pub regions: Vec<Region>,
    /// Size of the picture, upright.
    pub size: Size,
    /// Side of the square the model looked at, in pixels.
    pub image_size: usize,
    /// Files written, by what they show.
    pub files: BTreeMap<&'static str, String>,
    /// Milliseconds per stage.
    pub timing_ms: StageTimes,
}

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// Milliseconds spent per stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct StageTimes {
    /// Reading and decoding the file.
    pub decode: f64,
    /// Resizing and normalising.
    pub preprocess: f64,
    /// Image tower and comparison with the anchors.
    pub model: f64,
    /// Up-sampling, smoothing and scoring.
    pub map: f64,
    /// Painting and writing files.
    pub write: f64,
    /// All of it.
    pub total: f64,
}

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecordFormat {
    /// A line for a person: score, verdict, path.
    #[default]
    Text,
    /// One indented JSON object if there is one record, else an array of them.
    Json,
    /// One JSON object per line.
    JsonLines,
    /// Comma-separated values with a header line.
    Csv,
}

/// Writes records one after another, flushing each: a reader sees a picture's result as soon as there is one.
pub struct RecordWriter<W: Write> {
    out: W,
    format: RecordFormat,
    /// Whether a JSON array is written rather than one object.
    array: bool,
    written: usize,
}

impl<W: Write> RecordWriter<W> {
    /// A writer; `many` tells whether more than one record may come, which makes [`RecordFormat::Json`] an array.
    pub fn new(out: W, format: RecordFormat, many: bool) -> Self {
        Self { out, format, array: many, written: 0 }
    }

    /// Writes one record.
    ///
    /// # Errors
    /// Those of the underlying writer.
    pub fn write(&mut self, record: &Record) -> io::Result<()> {
        match self.format {
            RecordFormat::Text => writeln!(self.out, "{}", text_line(record))?,
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
            RecordFormat::Csv => {
                let mut lines =
                    csv::WriterBuilder::new().has_headers(self.written == 0).from_writer(&mut self.out);
                lines.serialize(CsvRow::from(record)).map_err(io::Error::other)?;
                lines.flush()?;
            }
        }
        self.written += 1;
        self.out.flush()
    }

    /// Closes what is open.
    ///
    /// # Errors
    /// Those of the underlying writer.
    pub fn finish(mut self) -> io::Result<()> {
        if self.format == RecordFormat::Json && self.array {
            self.out.write_all(if self.written == 0 { b"[]\n" } else { b"\n]\n" })?;
        }
        self.out.flush()
    }
}

fn text_line(record: &Record) -> String {
    match record.anomalous {
        None => format!("{:.4}  {}", record.score, record.path),
        Some(true) => format!("{:.4}  ANOMALOUS  {}", record.score, record.path),
        Some(false) => format!("{:.4}  normal     {}", record.score, record.path),
    }
}

/// The flat form of a record.
#[derive(Serialize)]
struct CsvRow<'a> {
    schema: u32,
    path: &'a str,
    model: &'a str,
    method: &'a str,
    class: &'a str,
    score: f32,
    anomalous: Option<bool>,
    threshold: Option<f32>,
    text_prob: Option<f32>,
    image_pred: Option<f32>,
    map_min: f32,
    map_max: f32,
    map_mean: f32,
    region_threshold: f32,
    regions: usize,
    width: usize,
    height: usize,
    image_size: usize,
    heatmap: Option<&'a str>,
    overlay: Option<&'a str>,
    mask: Option<&'a str>,
    raw: Option<&'a str>,
    total_ms: f64,
}

impl<'a> From<&'a Record> for CsvRow<'a> {
    fn from(r: &'a Record) -> Self {
        let file = |kind| r.files.get(kind).map(String::as_str);
        Self {
            schema: r.schema,
            path: &r.path,
            model: &r.model,
            method: r.method,
            class: &r.class,
            score: r.score,
            anomalous: r.anomalous,
            threshold: r.threshold,
            text_prob: r.components.text_prob,
            image_pred: r.components.image_pred,
            map_min: r.components.map_min,
            map_max: r.components.map_max,
            map_mean: r.components.map_mean,
            region_threshold: r.region_threshold,
            regions: r.regions.len(),
            width: r.size.width,
            height: r.size.height,
            image_size: r.image_size,
            heatmap: file("heatmap"),
            overlay: file("overlay"),
            mask: file("mask"),
            raw: file("raw"),
            total_ms: r.timing_ms.total,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(path: &str) -> Record {
        Record {
            schema: SCHEMA_VERSION,
            path: path.into(),
            model: "m".into(),
            method: "sdp",
            class: "object".into(),
            score: 0.25,
            anomalous: Some(false),
            threshold: Some(0.5),
            components: Components {
                text_prob: Some(0.1),
                image_pred: None,
                map_min: -0.1,
                map_max: 0.2,
                map_mean: 0.0,
            },
            region_threshold: 0.5,
            regions: vec![],
            size: Size { width: 3, height: 2 },
            image_size: 70,
            files: BTreeMap::from([("raw", "out/x.npy".to_owned())]),
            timing_ms: StageTimes::default(),
        }
    }

    fn written(format: RecordFormat, many: bool, records: &[Record]) -> String {
        let mut out = Vec::new();
        let mut writer = RecordWriter::new(&mut out, format, many);
        records.iter().for_each(|r| writer.write(r).unwrap());
        writer.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_forms_parse_to_the_same_values() {
        let records = [record("a, \"b\".png"), record("ü.png")];
        let lines = written(RecordFormat::JsonLines, true, &records);
        let lines: Vec<serde_json::Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let array: serde_json::Value =
            serde_json::from_str(&written(RecordFormat::Json, true, &records)).unwrap();
        assert_eq!(array, serde_json::Value::Array(lines.clone()));
        let one: serde_json::Value =
            serde_json::from_str(&written(RecordFormat::Json, false, &records[..1])).unwrap();
        assert_eq!(one, lines[0]);
        assert_eq!(written(RecordFormat::Json, true, &[]), "[]\n");
        assert_eq!(one["score"], 0.25);
    }

    #[test]
    fn csv_has_one_header_and_quotes_what_needs_it() {
        let text = written(RecordFormat::Csv, true, &[record("a, \"b\".png"), record("c.png")]);
        let mut rows = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(rows.headers().unwrap().get(1), Some("path"));
        let paths: Vec<String> = rows.records().map(|r| r.unwrap()[1].to_owned()).collect();
        assert_eq!(paths, ["a, \"b\".png", "c.png"]);
    }
}
