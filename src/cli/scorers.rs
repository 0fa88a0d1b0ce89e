//! From arguments to scorers, one per class.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use aaclip::anchors::ClassName;
use aaclip::calibration::{MapLevels, ThresholdFile};
use aaclip::dataset::ANYTHING;
use aaclip::memory::MemoryBound;
use aaclip::methods::Scope;
use aaclip::progress::Progress;
use aaclip::{DetectorBuilder, Detectors, Error, Provenance, References, Result, Scorer, ScorerSettings};

use crate::cli::args::detector::{DetectorArgs, OrientationName};
use crate::cli::args::scoring::{ScoringArgs, Threshold};
use crate::cli::messages;

/// Number of classes whose anchors are kept: clients may name any number of classes.
const KEPT: usize = 256;

/// Options of scorers in addition to their detector.
#[derive(Debug, Clone, Copy, Default)]
pub struct ScorerOptions {
    /// Whether colours are stretched over each picture.
    pub stretch: bool,
    /// Whether records have the content's SHA-256.
    pub hash: bool,
}

/// The scorers of one model, which share the tower; the scorer of a class is made on first use.
pub struct Scorers<'a> {
    detectors: Detectors,
    args: &'a ScoringArgs,
    /// The threshold file and its path.
    thresholds: Option<(&'a Path, ThresholdFile)>,
    options: ScorerOptions,
    /// Memory that the pictures of all classes share.
    memory: MemoryBound,
    /// Scorers made so far, by the requested class.
    made: Mutex<HashMap<String, Arc<Scorer>>>,
    /// Locked while a class is made, so that concurrent requests make it once, and known classes need not
    /// wait.
    making: Mutex<()>,
}

impl<'a> Scorers<'a> {
    /// Opens the model without reading a tower.
    ///
    /// # Errors
    /// Something does not exist or does not match the rest.
    pub fn open(args: &'a ScoringArgs, options: ScorerOptions, progress: Progress) -> Result<Self> {
        Self::with(args, options, args.detector.builder(progress)?)
    }

    /// The same with pictures of the folder to compare with.
    ///
    /// # Errors
    /// As [`Scorers::open`], or other pictures to compare with are given too.
    pub fn open_with(
        args: &'a ScoringArgs,
        options: ScorerOptions,
        progress: Progress,
        peers: References,
    ) -> Result<Self> {
        if !args.detector.reference.is_empty() {
            return Err(Error::Setting("--peers and --reference exclude each other".to_owned()));
        }
        Self::with(args, options, args.detector.builder(progress)?.references(peers))
    }

    fn with(args: &'a ScoringArgs, options: ScorerOptions, builder: DetectorBuilder) -> Result<Self> {
        let detectors = builder.open()?;
        messages::note(|| detectors.summary());
        let thresholds = match &args.threshold {
            Some(Threshold::File(path)) => Some((path.as_path(), ThresholdFile::read(path)?)),
            _ => None,
        };
        let memory = args.detector.memory();
        Ok(Self {
            detectors,
            args,
            thresholds,
            options,
            memory,
            made: Mutex::default(),
            making: Mutex::default(),
        })
    }

    /// Whether a folder's pictures are scored together.
    pub fn of_folder(&self) -> bool {
        self.detectors.method().scope == Scope::Folder
    }

    /// Gives the pictures of the folder to a method that scores them together.
    ///
    /// # Errors
    /// The method does not compare pictures.
    pub fn with_folder(self, files: Vec<PathBuf>) -> Result<Self> {
        let pictures = References::files(files, self.args.detector.decode_options());
        Ok(Self { detectors: self.detectors.with_references(pictures)?, ..self })
    }

    /// Stops writing anchors to the cache on disk; it is still read.
    pub fn write_no_cache(&self) {
        self.detectors.setup().cache.close();
    }

    /// The scorer of the class in the arguments, else of the only class of the threshold file, else of `object`.
    ///
    /// # Errors
    /// Errors of [`Scorers::of`], or the threshold file has several classes and the arguments have none.
    pub fn default_class(&self) -> Result<Arc<Scorer>> {
        match (&self.args.class, &self.thresholds) {
            (Some(class), _) => self.of(class),
            (None, None) => self.of(ANYTHING),
            (None, Some((path, file))) => {
                let known = || file.classes.keys().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ");
                let several = || {
                    Error::Setting(format!(
                        "{} has thresholds of {} classes ({}): name one with --class",
                        path.display(),
                        file.classes.len(),
                        known()
                    ))
                };
                self.of(file.only_class().ok_or_else(several)?)
            }
        }
    }

    /// A class as the threshold file knows it, else as the prompts describe it.
    fn name(&self, class: &str) -> Result<ClassName> {
        let dataset = self.args.dataset_names.as_deref();
        let file = self.thresholds.as_ref().filter(|_| dataset.is_none());
        match file.and_then(|(_, file)| file.class(class)) {
            Some(known) => Ok(known),
            None => self.detectors.describe(class, dataset),
        }
    }

    /// The scorer of a class.
    ///
    /// # Errors
    /// The class has no description, weights cannot be read, or a threshold file is for other settings.
    pub fn of(&self, class: &str) -> Result<Arc<Scorer>> {
        if let Some(scorer) = self.made(class) {
            return Ok(scorer);
        }
        let _making = self.making.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(scorer) = self.made(class) {
            return Ok(scorer);
        }
        let name = self.name(class)?;
        let detector = self.detectors.detector(&name)?;
        messages::cautions([&detector]);
        let mut settings = ScorerSettings::new(self.detectors.model_name(), &name.text);
        let (threshold, levels) = self.threshold(&name.text)?;
        settings.threshold = threshold;
        settings.region_threshold = self.args.region_threshold.or(levels.map(|l| l.region_threshold));
        settings.range = levels.map(|l| l.range).or(detector.range()).unwrap_or_default();
        settings.decoding = self.args.detector.decode_options();
        settings.calibrated = levels.is_some() || detector.class().levels().is_some();
        settings.stretch = self.options.stretch;
        settings.hash = self.options.hash;
        settings.memory = self.memory.clone();
        let scorer = Arc::new(Scorer::new(detector, settings));
        let mut made = self.made.lock().unwrap_or_else(|e| e.into_inner());
        if made.len() >= KEPT {
            made.clear();
        }
        made.insert(class.to_owned(), Arc::clone(&scorer));
        Ok(scorer)
    }

    fn made(&self, class: &str) -> Option<Arc<Scorer>> {
        self.made.lock().unwrap_or_else(|e| e.into_inner()).get(class).cloned()
    }

    /// The score's threshold, and the levels of a threshold file.
    fn threshold(&self, class: &str) -> Result<(Option<f32>, Option<MapLevels>)> {
        match (&self.thresholds, &self.args.threshold) {
            (Some((path, file)), _) => {
                let found = file.of(path, &self.provenance_of_settings()?, class)?;
                Ok((Some(found.threshold), found.map))
            }
            (None, Some(Threshold::Score(score))) => Ok((Some(*score), None)),
            (None, _) => Ok((None, None)),
        }
    }

    fn provenance_of_settings(&self) -> Result<Provenance> {
        provenance(&self.detectors, &self.args.detector)
    }

    /// Everything that a scorer's scores and maps depend on, except the picture. Thresholds and colours are left
    /// out: results are judged again without a score.
    ///
    /// # Errors
    /// The weights cannot be read.
    pub fn provenance(&self, scorer: &Scorer) -> Result<Provenance> {
        let mut p = self.provenance_of_settings()?;
        let settings = scorer.settings();
        p.set("model", &settings.model);
        p.set("class", &settings.class);
        Ok(p)
    }
}

/// Everything that scores depend on, except the picture and the class.
///
/// # Errors
/// The weights cannot be read.
pub fn provenance(detectors: &Detectors, args: &DetectorArgs) -> Result<Provenance> {
    let mut p = detectors.provenance()?;
    p.set("range", args.range.name());
    // Only if it is not the default, so that results of earlier versions continue.
    if args.orientation == OrientationName::Ignore {
        p.set("orientation", "ignore");
    }
    Ok(p)
}
