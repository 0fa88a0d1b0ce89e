//! Scores pictures with a detector and writes their records.

use std::path::Path;
use std::time::{Duration, Instant};

use ndarray::Array2;

use crate::files::{Stamp, sha256};
use crate::guard::caught;
use crate::image::{self, DecodeOptions, Picture, decode_bytes};
use crate::map::{GreyMap, MapRange, Region};
use crate::memory::{MemoryBound, MemoryShare};
use crate::output::{
    Artefact, ArtefactNames, Decoded, Ends, Failure, Judge, Outcome, Pictures, Record, RecordInput, Scored,
    Size, StageTimes, encode, save,
};
use crate::{Error, Result};

use super::{Detection, Detector};

/// Settings of a [`Scorer`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ScorerSettings {
    /// The model's name in results.
    pub model: String,
    /// The class text of the prompts, for results.
    pub class: String,
    /// Lowest score of an anomalous picture, 0..1.
    pub threshold: Option<f32>,
    /// Lowest value of a region's pixels, 0..1; `None`: where colours of `range` are plain to see.
    pub region_threshold: Option<f32>,
    /// The decoding of pictures.
    pub decoding: DecodeOptions,
    /// The levels of good parts and of clear damage, for colours and regions.
    pub range: MapRange,
    /// Whether `range` was measured on pictures of the same kind of parts.
    pub calibrated: bool,
    /// Whether colours are stretched over each picture instead, see [`Judge::stretch`].
    pub stretch: bool,
    /// Whether records have the SHA-256 of each picture's content.
    pub hash: bool,
    /// Memory that pictures in flight share.
    pub memory: MemoryBound,
}

impl ScorerSettings {
    /// No thresholds, default decoding and colours, no hashes.
    pub fn new(model: impl Into<String>, class: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            class: class.into(),
            threshold: None,
            region_threshold: None,
            decoding: DecodeOptions::default(),
            range: MapRange::default(),
            calibrated: false,
            stretch: false,
            hash: false,
            memory: MemoryBound::default(),
        }
    }

    /// The settings of verdicts, regions and colours.
    pub fn judge(&self) -> Judge {
        Judge {
            threshold: self.threshold,
            region_threshold: self.region_threshold.unwrap_or(self.range.good()),
            range: self.range,
            stretch: self.stretch,
        }
    }
}

/// A detector of one class with the settings common to all pictures: pictures in, records out.
#[derive(Clone)]
pub struct Scorer {
    detector: Detector,
    settings: ScorerSettings,
}

/// A picture to score.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Source<'a> {
    /// A file.
    File(&'a Path),
    /// The content of a file.
    Bytes(&'a [u8]),
}

/// The name of a picture in its record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PictureName {
    /// Its file, or any other name known to the user.
    pub path: String,
    /// Its name within the run, see [`RecordInput::name`].
    pub name: Vec<u8>,
}

impl PictureName {
    /// A picture with only one name.
    pub fn plain(name: &str) -> Self {
        Self { path: name.to_owned(), name: name.as_bytes().to_vec() }
    }
}

/// The result for one picture, before its record and files are made.
pub struct Look {
    /// The picture, upright.
    pub picture: Picture,
    /// What the detector found.
    pub found: Detection,
    /// The probability of "abnormal" in 256 steps, at about the model's resolution.
    pub grey: GreyMap,
    /// Connected regions at or above the region threshold.
    pub regions: Vec<Region>,
    stamp: Option<Stamp>,
    sha256: Option<String>,
    decoded: Duration,
    started: Instant,
    _share: MemoryShare,
}

impl Look {
    /// The probability of "abnormal" per pixel of the picture, `[H, W]`.
    pub fn probabilities(&self) -> Array2<f32> {
        self.grey.at_size(self.picture.width(), self.picture.height())
    }
}

impl Scorer {
    /// A scorer with a detector.
    pub fn new(detector: Detector, settings: ScorerSettings) -> Self {
        Self { detector, settings }
    }

    /// The detector.
    pub fn detector(&self) -> &Detector {
        &self.detector
    }

    /// The settings.
    pub fn settings(&self) -> &ScorerSettings {
        &self.settings
    }

    /// The settings of verdicts, regions and colours.
    pub fn judge(&self) -> Judge {
        self.settings.judge()
    }

    /// Scores a picture; `name` is its name in errors. Every error concerns this picture alone.
    ///
    /// # Errors
    /// The picture cannot be read, decoded or scored.
    pub fn look(&self, source: Source<'_>, name: &str) -> Result<Look> {
        let path = match source {
            Source::File(path) => path,
            Source::Bytes(_) => Path::new(name),
        };
        caught(|| self.look_unguarded(source, path))
            .unwrap_or_else(|| Err(Error::Bug { path: path.to_owned() }))
    }

    fn look_unguarded(&self, source: Source<'_>, path: &Path) -> Result<Look> {
        let started = Instant::now();
        let mut file = None;
        let ScorerSettings { decoding, memory, .. } = &self.settings;
        let (bytes, stamp, share) = match source {
            Source::Bytes(bytes) => (bytes, None, image::share_of(bytes, memory)),
            Source::File(path) => {
                let (read, share) = image::read_within(path, &decoding.limits, memory)?;
                let read = file.insert(read);
                (&read.bytes[..], Some(read.stamp), share)
            }
        };
        let sha256 = self.settings.hash.then(|| sha256(bytes));
        let picture = decode_bytes(bytes, path, &self.settings.decoding)?;
        drop(file);
        let decoded = started.elapsed();
        let found = self.detector.detect(&picture)?;
        let grey = found.grey_map();
        let regions = grey.regions(picture.width(), picture.height(), self.judge().region_threshold);
        Ok(Look { picture, found, grey, regions, stamp, sha256, decoded, started, _share: share })
    }

    /// Writes files about a picture, each atomically.
    ///
    /// # Errors
    /// Errors of [`save`].
    pub fn save(
        &self,
        look: &Look,
        wanted: &[Artefact],
        names: &ArtefactNames,
    ) -> Result<std::collections::BTreeMap<String, String>> {
        save(wanted, names, &self.pictures(look))
    }

    /// One file about a picture, in memory: PNG, or `.npy` for the raw map.
    ///
    /// # Errors
    /// The encoder fails.
    pub fn encode(&self, look: &Look, wanted: Artefact) -> Result<Vec<u8>> {
        encode(wanted, &self.pictures(look)).map_err(|e| Error::io("encode", wanted.name(), e))
    }

    fn pictures<'a>(&self, look: &'a Look) -> Pictures<'a> {
        Pictures {
            picture: &look.picture,
            grey: &look.grey,
            raw: &look.found.map,
            scale: self.judge().scale(),
            threshold: self.judge().region_threshold,
        }
    }

    /// The record of a scored picture; `files` are the files written for it.
    pub fn record(
        &self,
        look: Look,
        name: PictureName,
        files: std::collections::BTreeMap<String, String>,
    ) -> Record {
        let total = look.started.elapsed();
        let timing = look.found.timing;
        let computed = look.decoded + timing.preprocess + timing.model + timing.map;
        let scored = Scored {
            score: look.found.score,
            anomalous: self.judge().verdict(look.found.score),
            components: look.found.components,
            map_probability: Some(Ends { min: look.grey.low, max: look.grey.high }),
            regions: look.regions,
            size: Size { width: look.picture.width(), height: look.picture.height() },
            decoding: Decoded::of(look.picture.decoding()),
            image_size: self.detector.image_size(),
            tiles: look.found.tiles,
            files,
            timing_ms: StageTimes {
                decode: ms(look.decoded),
                preprocess: ms(timing.preprocess),
                model: ms(timing.model),
                map: ms(timing.map),
                write: ms(total.saturating_sub(computed)),
                total: ms(total),
            },
        };
        let input = RecordInput { path: name.path, name: name.name, stamp: look.stamp, sha256: look.sha256 };
        self.with(input, Outcome::Scored(Box::new(scored)))
    }

    /// The record of a picture without a score.
    pub fn failed(&self, error: &Error, name: PictureName, stamp: Option<Stamp>) -> Record {
        let input = RecordInput { path: name.path, name: name.name, stamp, sha256: None };
        self.with(input, Outcome::Failed(Failure::from(error)))
    }

    /// The record of a picture without a file.
    pub fn record_of(&self, name: PictureName, outcome: Outcome) -> Record {
        self.with(RecordInput { path: name.path, name: name.name, ..RecordInput::default() }, outcome)
    }

    fn with(&self, input: RecordInput, outcome: Outcome) -> Record {
        let judge = self.judge();
        Record {
            input,
            model: self.settings.model.clone(),
            method: self.detector.method().name.to_owned(),
            class: self.settings.class.clone(),
            threshold: judge.threshold,
            region_threshold: judge.region_threshold,
            map_range: judge.range,
            stretched: judge.stretch,
            outcome,
            warning: self.detector.class().caution().map(str::to_owned),
        }
    }
}

/// Milliseconds with three decimals.
fn ms(d: Duration) -> f64 {
    (d.as_secs_f64() * 1e6).round() / 1e3
}
