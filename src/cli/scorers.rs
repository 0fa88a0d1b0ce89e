//! From arguments to scorers, one per class.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aaclip::calibration::ThresholdFile;
use aaclip::output::ColourScale;
use aaclip::progress::Progress;
use aaclip::{Detectors, Provenance, Result, Scorer, ScorerSettings};

use crate::cli::args::detector::DetectorArgs;
use crate::cli::args::scoring::{ScoringArgs, Threshold};
use crate::cli::messages;

/// Classes whose anchors are kept: a stranger may name as many as there are words.
const KEPT: usize = 256;

/// What is asked of scorers besides their detector.
#[derive(Debug, Clone, Copy, Default)]
pub struct ScorerOptions {
    pub scale: ColourScale,
    /// Whether records name the content's SHA-256.
    pub hash: bool,
}

/// The scorers of one model. They share the tower; that of a class is made when it is first asked for.
pub struct Scorers<'a> {
    detectors: Detectors,
    args: &'a ScoringArgs,
    options: ScorerOptions,
    /// Those made so far, by what was asked for.
    made: Mutex<HashMap<String, Arc<Scorer>>>,
    /// Held while a class is made, so that two that ask for it make it once, and known classes need not wait.
    making: Mutex<()>,
}

impl<'a> Scorers<'a> {
    /// Opens the model; reads no tower yet.
    ///
    /// # Errors
    /// Anything that does not exist or does not fit together.
    pub fn open(args: &'a ScoringArgs, options: ScorerOptions, progress: Progress) -> Result<Self> {
        let detectors = args.detector.builder(progress)?.open()?;
        messages::note(|| detectors.summary());
        Ok(Self { detectors, args, options, made: Mutex::default(), making: Mutex::default() })
    }

    /// From now on anchors are read from the disk's cache but not added to it.
    pub fn write_no_cache(&self) {
        self.detectors.setup().cache.close();
    }

    /// The scorer of the class that the arguments name.
    ///
    /// # Errors
    /// As [`Scorers::of`].
    pub fn default_class(&self) -> Result<Arc<Scorer>> {
        self.of(&self.args.class)
    }

    /// The scorer of a class.
    ///
    /// # Errors
    /// A class that is not described, weights that cannot be read, a threshold file for other settings.
    pub fn of(&self, class: &str) -> Result<Arc<Scorer>> {
        if let Some(scorer) = self.made(class) {
            return Ok(scorer);
        }
        let _making = self.making.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(scorer) = self.made(class) {
            return Ok(scorer);
        }
        let name = self.detectors.describe(class, self.args.dataset_names.as_deref())?;
        let detector = self.detectors.detector(&name)?;
        let settings = ScorerSettings {
            model: self.detectors.model_name().to_owned(),
            threshold: self.threshold(&name.text)?,
            class: name.text,
            region_threshold: self.args.region_threshold,
            decoding: self.args.detector.decode_options(),
            scale: self.options.scale,
            hash: self.options.hash,
        };
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

    fn threshold(&self, class: &str) -> Result<Option<f32>> {
        Ok(match &self.args.threshold {
            None => None,
            Some(Threshold::Score(score)) => Some(*score),
            Some(Threshold::File(path)) => {
                Some(ThresholdFile::read(path)?.threshold(path, &self.provenance_of_settings()?, class)?)
            }
        })
    }

    fn provenance_of_settings(&self) -> Result<Provenance> {
        provenance(&self.detectors, &self.args.detector)
    }

    /// Everything that records of a scorer depend on besides the picture.
    ///
    /// # Errors
    /// The weights cannot be read.
    pub fn provenance(&self, scorer: &Scorer) -> Result<Provenance> {
        let mut p = self.provenance_of_settings()?;
        let settings = scorer.settings();
        p.set("model", &settings.model);
        p.set("class", &settings.class);
        p.set("threshold", settings.threshold.map_or("none".to_owned(), |t| t.to_string()));
        p.set("region_threshold", scorer.region_threshold());
        Ok(p)
    }
}

/// Everything that scores depend on besides the picture and the class.
///
/// # Errors
/// The weights cannot be read.
pub fn provenance(detectors: &Detectors, args: &DetectorArgs) -> Result<Provenance> {
    let mut p = detectors.provenance()?;
    p.set("gray16", args.gray16.name());
    Ok(p)
}
