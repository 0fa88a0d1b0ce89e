//! The records of a run's folder, read back.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde::Deserialize;
use serde_json::Value;

use super::GalleryError;
use super::manifest::started_in;
use crate::{Error, Result};

/// The version of records that is understood.
pub(super) const SCHEMA: u64 = 2;

/// Regions of one picture that a page shows, the highest peaks: more would hide the picture.
pub const MOST_REGIONS: usize = 32;

/// Longest line that is read, in bytes: some hundred thousand regions.
const LONGEST_LINE: u64 = 64 << 20;

/// What `aaclip detect` left in a folder: one picture per name, the last of its records.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectRun {
    /// The folder.
    pub folder: PathBuf,
    /// The pictures in the order they were first recorded.
    pub pictures: Vec<ShownPicture>,
}

/// What a page shows of one record.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownPicture {
    /// The picture's name: a path with `/`. Unique in the folder, unless file names are no Unicode text.
    pub name: String,
    /// The name as the file system has it, where it is no Unicode text; unique in the folder.
    pub name_bytes: Option<Vec<u8>>,
    /// The picture's file as the run named it.
    pub path: String,
    /// The picture's file, resolved by the folder the run was started in.
    pub file: PathBuf,
    /// What the picture was judged with.
    pub judged: Arc<Judged>,
    /// The score, or why there is none.
    pub outcome: Outcome,
    /// Width and height in pixels, upright.
    pub size: Option<(u64, u64)>,
    /// Parts of the score, by name.
    pub components: BTreeMap<String, f64>,
    /// The first [`MOST_REGIONS`] regions.
    pub regions: Vec<ShownRegion>,
    /// How many regions there are in all.
    pub region_count: usize,
    /// Files of the run by what they show ("heatmap", "overlay"), relative to the folder as recorded.
    pub files: BTreeMap<String, String>,
}

/// What scores and verdicts depend on besides the picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The model's name.
    pub model: String,
    /// The method.
    pub method: String,
    /// The text put into the prompts.
    pub class: String,
    /// The score from which a picture counts as anomalous.
    pub threshold: Option<f64>,
}

/// What came of a picture.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It was scored.
    Scored {
        /// How anomalous it is, commonly 0..1.
        score: f64,
        /// Whether the score reaches the threshold; `None` without one.
        anomalous: Option<bool>,
    },
    /// It could not be scored.
    Failed {
        /// The kind of failure: "image".
        kind: String,
        /// The reason.
        message: String,
    },
}

/// A connected region, in pixels of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct ShownRegion {
    /// Left edge.
    pub x: u64,
    /// Upper edge.
    pub y: u64,
    /// Width of the bounding box.
    pub width: u64,
    /// Height of the bounding box.
    pub height: u64,
    /// Pixels that belong to it.
    #[serde(default)]
    pub area: u64,
    /// The largest value, 0..1.
    #[serde(default)]
    pub peak: f64,
}

impl ShownPicture {
    /// What no other picture of the folder has.
    pub(super) fn key(&self) -> &[u8] {
        self.name_bytes.as_deref().unwrap_or(self.name.as_bytes())
    }

    /// A path from the record, with the name in it as the file system has it.
    pub(super) fn recorded_path(&self, text: &str) -> PathBuf {
        match (&self.name_bytes, text.rsplit_once(&self.name)) {
            (Some(bytes), Some((before, after))) => joined(&[before.as_bytes(), bytes, after.as_bytes()]),
            _ => PathBuf::from(text),
        }
    }

    /// The score; `None` of a failed picture.
    pub fn score(&self) -> Option<f64> {
        match self.outcome {
            Outcome::Scored { score, .. } => Some(score),
            Outcome::Failed { .. } => None,
        }
    }

    /// The verdict; `None` of a failed picture and without a threshold.
    pub fn anomalous(&self) -> Option<bool> {
        match self.outcome {
            Outcome::Scored { anomalous, .. } => anomalous,
            Outcome::Failed { .. } => None,
        }
    }
}

impl DetectRun {
    /// Reads every `results.jsonl` and `results-I-of-N.jsonl` of `folder` with the manifests beside them.
    ///
    /// Of several records with one name the last counts, files in the order of their names. A last line without
    /// its end is a record being written, and ignored. Keys that are not known are ignored.
    ///
    /// # Errors
    /// A folder without results, a damaged line, records or a manifest of another schema, or a file that cannot
    /// be read.
    pub fn read(folder: &Path) -> Result<Self> {
        let sources = sources(folder)?;
        if sources.is_empty() {
            return Err(GalleryError::NoResults { folder: folder.to_owned() }.into());
        }
        let mut pictures: Vec<ShownPicture> = Vec::new();
        let mut known: HashMap<Vec<u8>, usize> = HashMap::new();
        for (path, manifest) in &sources {
            let started_in = started_in(manifest)?;
            each_line(path, |line| {
                let mut picture = line.picture(started_in.as_deref());
                // Nearly all pictures of a run share these.
                match pictures.last() {
                    Some(last) if last.judged == picture.judged => picture.judged = last.judged.clone(),
                    _ => {}
                }
                match known.get(picture.key()) {
                    // The index comes from this very list.
                    Some(&at) => pictures[at] = picture,
                    None => {
                        known.insert(picture.key().to_owned(), pictures.len());
                        pictures.push(picture);
                    }
                }
            })?;
        }
        if pictures.is_empty() {
            return Err(GalleryError::NothingFinished { folder: folder.to_owned() }.into());
        }
        Ok(Self { folder: folder.to_owned(), pictures })
    }
}

#[cfg(unix)]
fn joined(parts: &[&[u8]]) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(parts.concat()).into()
}

#[cfg(not(unix))]
fn joined(parts: &[&[u8]]) -> PathBuf {
    String::from_utf8_lossy(&parts.concat()).into_owned().into()
}

/// The files of results in a folder, each with the manifest that belongs to it, in the order of shards.
fn sources(folder: &Path) -> Result<Vec<(PathBuf, PathBuf)>> {
    let io = |e| Error::io("read", folder, e);
    let mut shards = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        let Some(shard) = name.to_str().and_then(|n| n.strip_prefix("results")) else { continue };
        let Some(shard) = shard.strip_suffix(".jsonl") else { continue };
        if let Some(order) = shard_order(shard) {
            shards.push((order, shard.to_owned()));
        }
    }
    shards.sort();
    let paths = |shard: &str| {
        (folder.join(format!("results{shard}.jsonl")), folder.join(format!("manifest{shard}.json")))
    };
    Ok(shards.iter().map(|(_, shard)| paths(shard)).collect())
}

/// How many shards and which one: of `""` (a whole run) or `"-I-of-N"`.
fn shard_order(shard: &str) -> Option<(u64, u64)> {
    if shard.is_empty() {
        return Some((0, 0));
    }
    let (index, count) = shard.strip_prefix('-')?.split_once("-of-")?;
    let number = |digits: &str| {
        let plain = digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse::<u64>().ok()).flatten()
    };
    Some((number(count)?, number(index)?))
}

/// One line as it is written; what is not here is ignored.
#[derive(Deserialize)]
struct Line {
    path: String,
    name: String,
    #[serde(default)]
    name_base64: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    class: Option<String>,
    #[serde(default)]
    score: Option<f64>,
    #[serde(default)]
    anomalous: Option<bool>,
    #[serde(default)]
    threshold: Option<f64>,
    #[serde(default)]
    components: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    regions: Option<Vec<ShownRegion>>,
    #[serde(default)]
    size: Option<SizeLine>,
    #[serde(default)]
    files: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    error: Option<ErrorLine>,
}

#[derive(Deserialize)]
struct SizeLine {
    width: u64,
    height: u64,
}

#[derive(Deserialize)]
struct ErrorLine {
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

/// Only the version, of a record that may be of any.
#[derive(Deserialize)]
struct Version {
    #[serde(default)]
    schema: Option<Value>,
}

impl Line {
    fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        let version: Version = serde_json::from_slice(bytes).map_err(|e| Unreadable::Damaged(in_line(&e)))?;
        match version.schema {
            Some(schema) if schema.as_u64() == Some(SCHEMA) => {}
            other => {
                return Err(Unreadable::Schema(other.map_or("unknown".to_owned(), |v| v.to_string())));
            }
        }
        serde_json::from_slice(bytes).map_err(|e| Unreadable::Damaged(in_line(&e)))
    }

    fn picture(self, started_in: Option<&Path>) -> ShownPicture {
        let mut regions = self.regions.unwrap_or_default();
        let region_count = regions.len();
        regions.truncate(MOST_REGIONS);
        regions.shrink_to_fit();
        let numbers = |(name, value): (String, Value)| Some((name, value.as_f64()?));
        let texts = |(name, value): (String, Value)| match value {
            Value::String(text) => Some((name, text)),
            _ => None,
        };
        let outcome = match (self.score, self.error) {
            (Some(score), None) => Outcome::Scored { score, anomalous: self.anomalous },
            (_, error) => {
                let (kind, message) = error.map_or((None, None), |e| (e.kind, e.message));
                let unknown = || "the run gave no reason".to_owned();
                Outcome::Failed { kind: kind.unwrap_or_default(), message: message.unwrap_or_else(unknown) }
            }
        };
        let mut picture = ShownPicture {
            file: PathBuf::new(),
            name_bytes: self.name_base64.and_then(|text| BASE64.decode(text).ok()),
            name: self.name,
            path: self.path,
            judged: Arc::new(Judged {
                model: self.model.unwrap_or_default(),
                method: self.method.unwrap_or_default(),
                class: self.class.unwrap_or_default(),
                threshold: self.threshold,
            }),
            outcome,
            size: self.size.map(|s| (s.width, s.height)).filter(|&(w, h)| w > 0 && h > 0),
            components: self.components.unwrap_or_default().into_iter().filter_map(numbers).collect(),
            regions,
            region_count,
            files: self.files.unwrap_or_default().into_iter().filter_map(texts).collect(),
        };
        let file = picture.recorded_path(&picture.path);
        picture.file = started_in.map_or_else(|| file.clone(), |folder| folder.join(&file));
        picture
    }
}

/// Why a line is not a record.
enum Unreadable {
    Schema(String),
    Damaged(String),
}

/// The reason without the parser's own count of lines, which is always 1 here.
fn in_line(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", ", column ")
}

fn each_line(path: &Path, mut take: impl FnMut(Line)) -> Result<()> {
    let io = |e| Error::io("read", path, e);
    let mut reader = BufReader::with_capacity(1 << 18, File::open(path).map_err(io)?);
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut bytes).map_err(io)?;
        let damaged = |reason| GalleryError::Damaged { path: path.to_owned(), line, reason };
        if bytes.last() != Some(&b'\n') {
            // The end, or a record that is being written; not a line that is cut here because of its length.
            return match bytes.len() as u64 {
                LONGEST_LINE => Err(damaged(format!("longer than {} MiB", LONGEST_LINE >> 20)).into()),
                _ => Ok(()),
            };
        }
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        match Line::parse(&bytes) {
            Ok(parsed) => take(parsed),
            Err(Unreadable::Schema(found)) => {
                return Err(GalleryError::Schema { path: path.to_owned(), line, found }.into());
            }
            Err(Unreadable::Damaged(reason)) => return Err(damaged(reason).into()),
        }
    }
    Ok(())
}
