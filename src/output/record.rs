//! The result for one picture.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::files::Stamp;
use crate::map::{MapRange, Region};
use crate::methods::Components;

use super::Decoded;

/// Version of the fields of [`Record`]; changes when a field changes its name or meaning.
pub const SCHEMA_VERSION: u32 = 3;

/// The result for one picture, or the reason for its absence. As JSON it always has the same fields; fields
/// that do not apply are null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Fields", try_from = "Fields")]
pub struct Record {
    /// The picture.
    pub input: RecordInput,
    /// The model.
    pub model: String,
    /// The method.
    pub method: String,
    /// The class text of the prompts.
    pub class: String,
    /// The threshold of the score, if given.
    pub threshold: Option<f32>,
    /// Lowest value of a region's pixels.
    pub region_threshold: f32,
    /// The levels where colours begin and where they are hottest.
    pub map_range: MapRange,
    /// Whether colours are stretched over this picture instead.
    pub stretched: bool,
    /// The score, or the failure.
    pub outcome: Outcome,
    /// The caution about the class text, see [`ClassModel::caution`](crate::methods::ClassModel::caution).
    pub warning: Option<String>,
}

/// The identity of a picture.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecordInput {
    /// Its file, as named by the run.
    pub path: String,
    /// Its name within the run: its path below the searched folder, with `/`, as bytes of the file system.
    pub name: Vec<u8>,
    /// The file's state when it was read; `None` if it could not be read or is not a file.
    pub stamp: Option<Stamp>,
    /// SHA-256 of its content, if requested.
    pub sha256: Option<String>,
}

/// The outcome for one picture.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The picture was scored.
    Scored(Box<Scored>),
    /// The picture could not be scored.
    Failed(Failure),
}

/// The measured part of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// How anomalous the picture is, 0..1, comparable between pictures.
    pub score: f32,
    /// Whether the score is at or above the threshold; `None` without a threshold.
    pub anomalous: Option<bool>,
    /// The components of the score.
    pub components: Components,
    /// The lowest and the highest probability of "abnormal" in the map: black and white in its grey picture.
    /// `None` in records of earlier versions.
    pub map_probability: Option<Ends>,
    /// Connected regions, in pixels of the picture, the highest peak first.
    pub regions: Vec<Region>,
    /// Size of the picture after applying its orientation.
    pub size: Size,
    /// How the picture was decoded; `None` if there is nothing to say.
    pub decoding: Option<Decoded>,
    /// Side of the model's input square, in pixels.
    pub image_size: usize,
    /// Number of tiles of the map; 1: the picture was processed as a whole.
    pub tiles: usize,
    /// Written files by kind.
    pub files: BTreeMap<String, String>,
    /// Milliseconds per stage.
    pub timing_ms: StageTimes,
}

/// The reason why a picture has no score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind of problem, see [`Error::kind`].
    pub kind: String,
    /// The full reason for the user.
    pub message: String,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self { kind: error.kind().to_owned(), message: error.to_string() }
    }
}

/// The ends of a range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ends {
    /// The lowest value.
    pub min: f32,
    /// The highest value.
    pub max: f32,
}

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// Milliseconds spent per stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
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
    /// Sum of all stages.
    pub total: f64,
}

impl Record {
    /// Parses one line of results, with or without its line end. Unknown fields are ignored.
    ///
    /// # Errors
    /// A description of the problem.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        serde_json::from_slice(line).map_err(|e| match serde_json::from_slice(line) {
            // All other problems follow from the version.
            Ok(Version { schema }) if schema != SCHEMA_VERSION => other_schema(schema),
            // The input is a single line.
            _ => e.to_string().replace(" at line 1 column ", ", column "),
        })
    }

    /// The measured part, if the picture was scored.
    pub fn scored(&self) -> Option<&Scored> {
        match &self.outcome {
            Outcome::Scored(scored) => Some(scored),
            Outcome::Failed(_) => None,
        }
    }

    /// The written files, for renaming.
    pub fn files_mut(&mut self) -> Option<&mut BTreeMap<String, String>> {
        match &mut self.outcome {
            Outcome::Scored(scored) => Some(&mut scored.files),
            Outcome::Failed(_) => None,
        }
    }
}

fn other_schema(schema: u32) -> String {
    format!("the record has schema {schema}, expected schema {SCHEMA_VERSION}")
}

/// The stored form of a record: one level of named fields, always the same.
#[derive(Serialize, Deserialize)]
struct Fields {
    schema: u32,
    path: String,
    name: String,
    /// The bytes of the name in base64 if they are not UTF-8, else null.
    #[serde(default)]
    name_base64: Option<String>,
    bytes: Option<u64>,
    modified: Option<i64>,
    sha256: Option<String>,
    model: String,
    method: String,
    class: String,
    score: Option<f32>,
    anomalous: Option<bool>,
    threshold: Option<f32>,
    components: Option<Components>,
    #[serde(default)]
    map_probability: Option<Ends>,
    region_threshold: f32,
    #[serde(default)]
    map_range: MapRange,
    #[serde(default)]
    stretched: bool,
    regions: Vec<Region>,
    size: Option<Size>,
    image_size: Option<usize>,
    tiles: Option<usize>,
    files: BTreeMap<String, String>,
    timing_ms: Option<StageTimes>,
    error: Option<Failure>,
    #[serde(default)]
    warning: Option<String>,
    #[serde(default)]
    decoding: Option<Decoded>,
}

impl From<Record> for Fields {
    fn from(record: Record) -> Self {
        let Record {
            input,
            model,
            method,
            class,
            threshold,
            region_threshold,
            map_range,
            stretched,
            outcome,
            warning,
        } = record;
        let (name, name_base64) = match String::from_utf8(input.name) {
            Ok(name) => (name, None),
            Err(e) => (String::from_utf8_lossy(e.as_bytes()).into_owned(), Some(BASE64.encode(e.as_bytes()))),
        };
        let mut fields = Self {
            schema: SCHEMA_VERSION,
            path: input.path,
            name,
            name_base64,
            bytes: input.stamp.map(|s| s.bytes),
            modified: input.stamp.and_then(|s| s.modified),
            sha256: input.sha256,
            model,
            method,
            class,
            score: None,
            anomalous: None,
            threshold,
            components: None,
            map_probability: None,
            region_threshold,
            map_range,
            stretched,
            regions: Vec::new(),
            size: None,
            image_size: None,
            tiles: None,
            files: BTreeMap::new(),
            timing_ms: None,
            error: None,
            warning,
            decoding: None,
        };
        match outcome {
            Outcome::Failed(failure) => fields.error = Some(failure),
            Outcome::Scored(scored) => {
                let s = *scored;
                fields.score = Some(s.score);
                fields.anomalous = s.anomalous;
                fields.components = Some(s.components);
                fields.map_probability = s.map_probability;
                fields.regions = s.regions;
                fields.size = Some(s.size);
                fields.decoding = s.decoding;
                fields.image_size = Some(s.image_size);
                fields.tiles = Some(s.tiles);
                fields.files = s.files;
                fields.timing_ms = Some(s.timing_ms);
            }
        }
        fields
    }
}

impl TryFrom<Fields> for Record {
    type Error = String;

    fn try_from(f: Fields) -> Result<Self, String> {
        if f.schema != SCHEMA_VERSION {
            return Err(other_schema(f.schema));
        }
        let name = match f.name_base64 {
            Some(text) => BASE64.decode(text).map_err(|e| format!("name_base64: {e}"))?,
            None => f.name.into_bytes(),
        };
        let missing = |what: &str| format!("the record has neither an error nor `{what}`");
        let outcome = match f.error {
            Some(failure) => Outcome::Failed(failure),
            None => Outcome::Scored(Box::new(Scored {
                score: f.score.ok_or_else(|| missing("score"))?,
                anomalous: f.anomalous,
                components: f.components.ok_or_else(|| missing("components"))?,
                map_probability: f.map_probability,
                regions: f.regions,
                size: f.size.ok_or_else(|| missing("size"))?,
                decoding: f.decoding,
                image_size: f.image_size.ok_or_else(|| missing("image_size"))?,
                tiles: f.tiles.ok_or_else(|| missing("tiles"))?,
                files: f.files,
                timing_ms: f.timing_ms.ok_or_else(|| missing("timing_ms"))?,
            })),
        };
        Ok(Self {
            input: RecordInput {
                path: f.path,
                name,
                stamp: f.bytes.map(|bytes| Stamp { bytes, modified: f.modified }),
                sha256: f.sha256,
            },
            model: f.model,
            method: f.method,
            class: f.class,
            threshold: f.threshold,
            region_threshold: f.region_threshold,
            map_range: f.map_range,
            stretched: f.stretched,
            outcome,
            warning: f.warning,
        })
    }
}

#[cfg(test)]
pub mod tests {
    use super::super::SampleEnds;
    use super::*;

    pub fn record(path: &str) -> Record {
        Record {
            input: RecordInput {
                path: path.into(),
                name: path.into(),
                stamp: Some(Stamp { bytes: 5, modified: Some(1_763_730_000_123_456) }),
                sha256: None,
            },
            model: "m".into(),
            method: "sdp".into(),
            class: "object".into(),
            threshold: Some(0.5),
            region_threshold: 0.5,
            map_range: MapRange::default(),
            stretched: false,
            outcome: Outcome::Scored(Box::new(Scored {
                score: 0.25,
                anomalous: Some(false),
                components: Components { image: Some(0.1), map_min: -0.1, map_max: 0.2, map_mean: 0.0 },
                map_probability: None,
                regions: vec![Region { x: 1, y: 2, width: 3, height: 4, area: 5, peak: 0.625 }],
                size: Size { width: 3, height: 2 },
                decoding: None,
                image_size: 70,
                tiles: 1,
                files: BTreeMap::from([("raw".to_owned(), "out/x.npy".to_owned())]),
                timing_ms: StageTimes::default(),
            })),
            warning: None,
        }
    }

    pub fn failed(path: &str) -> Record {
        let failure = Failure { kind: "empty".into(), message: format!("{path} is empty") };
        let ok = record(path);
        Record {
            outcome: Outcome::Failed(failure),
            input: RecordInput { stamp: None, ..ok.input.clone() },
            ..ok
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut odd = record("a");
        odd.input.name = b"sub/\xff.png".to_vec();
        odd.warning = Some("choose a plain name".into());
        if let Outcome::Scored(scored) = &mut odd.outcome {
            scored.decoding = Some(Decoded {
                depth: 16,
                samples: "unsigned".into(),
                range: Some(SampleEnds { min: 0.0, max: 4095.0 }),
                pages: 2,
                orientation: 6,
                warnings: vec!["the first of 2 pages".into()],
            });
        }
        for record in [record("ü/\"x\".png"), failed("gone.png"), odd] {
            let text = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record, "{text}");
        }
    }

    #[test]
    fn failures_have_the_same_fields() {
        let keys = |r: &Record| -> Vec<String> {
            let value = serde_json::to_value(r).unwrap();
            value.as_object().unwrap().keys().cloned().collect()
        };
        assert_eq!(keys(&record("a")), keys(&failed("a")));
    }

    #[test]
    fn other_schemas_and_half_records_are_refused() {
        let value = serde_json::to_value(record("a")).unwrap();
        for (key, wrong, needle) in [
            ("schema", serde_json::json!(1), "schema 1"),
            ("score", serde_json::Value::Null, "`score`"),
            ("name_base64", "?".into(), "name_base64"),
        ] {
            let mut value = value.clone();
            value[key] = wrong;
            let error = serde_json::from_value::<Record>(value).unwrap_err().to_string();
            assert!(error.contains(needle), "{error}");
        }
        for (line, needle) in [
            ("{\"schema\": 1}\n", "the record has schema 1, expected schema 3"),
            ("{\"schema\": 3}", "missing field"),
            ("{}", "missing field `schema`"),
            ("{\"sch", "EOF while parsing a string, column 5"),
        ] {
            let error = Record::parse(line.as_bytes()).unwrap_err();
            assert!(error.contains(needle), "{error}");
        }
        // Records of this schema from before the field.
        let older = serde_json::to_string(&record("a")).unwrap().replacen(",\"warning\":null", "", 1);
        assert!(!older.contains("warning"));
        assert_eq!(Record::parse(older.as_bytes()), Ok(record("a")));
        let newer = serde_json::to_string(&record("a")).unwrap().replacen('{', "{\"hue\": [1],", 1);
        assert_eq!(Record::parse(newer.as_bytes()), Ok(record("a")));
    }
}
