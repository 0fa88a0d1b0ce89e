//! From names and files to a detector: the one place with the rules for their combination.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use candle_core::Device;

use super::{Detector, References};
use crate::anchors::{ANYTHING, AnchorCache, ClassName, PromptSet};
use crate::clip::{Activation, PrecisionChoice};
use crate::image::Fit;
use crate::map::MapRange;
use crate::methods::nearest;
use crate::methods::{
    DEFAULT, METHODS, Method, Model, OptionValues, References as Compared, Scope, Setup, Trained,
};
use crate::models;
use crate::progress::Progress;
use crate::tiles::Tiling;
use crate::weights::builtin;
use crate::{Error, Provenance, Result};

/// Settings for a new detector. See [`Detector::builder`].
#[derive(Debug, Clone)]
pub struct DetectorBuilder {
    model: Option<String>,
    method: Option<String>,
    checkpoint: Option<PathBuf>,
    options: Vec<(String, String)>,
    class: String,
    dataset: Option<String>,
    references: References,
    image_size: Option<usize>,
    fit: Option<Fit>,
    tiling: Option<Tiling>,
    activation: Option<Activation>,
    device: Device,
    precision: PrecisionChoice,
    cache: AnchorCache,
    progress: Progress,
}

impl DetectorBuilder {
    /// Default settings. `model`: a published model's name, a folder, or `builtin`; `None`: the best
    /// published model that has been downloaded, else the built-in one.
    pub fn new(model: Option<&str>) -> Self {
        Self {
            model: model.map(str::to_owned),
            method: None,
            checkpoint: None,
            options: Vec::new(),
            class: ANYTHING.to_owned(),
            dataset: None,
            references: References::default(),
            image_size: None,
            fit: None,
            tiling: None,
            activation: None,
            device: Device::Cpu,
            precision: PrecisionChoice::Fixed(crate::clip::Precision::F32),
            cache: AnchorCache::new(),
            progress: Progress::Silent,
        }
    }

    /// The method, by name ([`METHODS`](crate::methods::METHODS)). Default: the method of the trained
    /// weights, else `sdp`.
    pub fn method(mut self, name: &str) -> Self {
        self.method = Some(name.to_owned());
        self
    }

    /// Trained weights of a method: an official checkpoint (a file or its folder), or a file of this program.
    pub fn checkpoint(mut self, path: impl Into<PathBuf>) -> Self {
        self.checkpoint = Some(path.into());
        self
    }

    /// An option of the method, as on the command line without its dashes: `.option("fusion", 0.3)`.
    pub fn option(mut self, name: &str, value: impl ToString) -> Self {
        self.options.push((name.to_owned(), value.to_string()));
        self
    }

    /// The class shown in the pictures, as inserted into the prompts; `dataset:class` becomes the data set's
    /// description of the class. Default: `object`. The built-in model ignores it.
    pub fn class(mut self, text: &str) -> Self {
        self.class = text.to_owned();
        self
    }

    /// The data set of the class, for its description.
    pub fn dataset(mut self, name: Option<&str>) -> Self {
        self.dataset = name.map(str::to_owned);
        self
    }

    /// Pictures of good parts for comparison, for methods that use them.
    pub fn references(mut self, good: impl Into<References>) -> Self {
        self.references = good.into();
        self
    }

    /// Side of the model's input square, in pixels. Default: the size in training.
    pub fn image_size(mut self, pixels: Option<usize>) -> Self {
        self.image_size = pixels;
        self
    }

    /// How a picture is made square. Default: the method's way, mostly [`Fit::Squash`].
    pub fn fit(mut self, fit: Option<Fit>) -> Self {
        self.fit = fit;
        self
    }

    /// How large pictures are split into tiles; `None`: no tiles.
    pub fn tiling(mut self, tiling: Option<Tiling>) -> Self {
        self.tiling = tiling;
        self
    }

    /// The towers' activation. Default: the method's, else the model configuration's.
    pub fn activation(mut self, activation: Option<Activation>) -> Self {
        self.activation = activation;
        self
    }

    /// The device. Default: the CPU.
    pub fn device(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    /// The number type of the image tower. Default: 32-bit floats.
    pub fn precision(mut self, precision: PrecisionChoice) -> Self {
        self.precision = precision;
        self
    }

    /// The cache for anchors. Default: the user's cache folder.
    pub fn cache(mut self, cache: AnchorCache) -> Self {
        self.cache = cache;
        self
    }

    /// Whether the encoding of prompts shows its progress. Default: no.
    pub fn progress(mut self, progress: Progress) -> Self {
        self.progress = progress;
        self
    }

    /// A detector for the class.
    ///
    /// # Errors
    /// Something does not exist, cannot be read, or does not match the rest.
    pub fn build(&self) -> Result<Detector> {
        let detectors = self.open()?;
        detectors.detector(&detectors.describe(&self.class, self.dataset.as_deref())?)
    }

    /// Opens the model and the trained weights for any class, without reading a tower.
    ///
    /// # Errors
    /// Errors of [`DetectorBuilder::build`].
    pub fn open(&self) -> Result<Detectors> {
        let named = models::resolve(self.model.as_deref())?;
        let asked = match self.asked_method()? {
            None if !self.references.is_empty() && self.checkpoint.is_none() => Some(&nearest::METHOD),
            asked => asked,
        };
        let trained = self.trained(&named, asked)?;
        let method = match (asked, &trained) {
            (Some(method), Some(_)) if method.trained.is_none() => {
                return Err(Error::Setting(format!("method {} uses no trained weights", method.name)));
            }
            (Some(method), _) => method,
            (None, Some(trained)) => trained.method(),
            (None, None) => DEFAULT,
        };
        let mut options = OptionValues::default();
        self.options.iter().try_for_each(|(name, value)| options.set_by_name(name, value))?;
        options.check_for(method)?;
        let setup = Setup {
            trained: trained.map(Arc::new),
            options,
            image_size: self.image_size,
            fit: self.fit,
            activation: self.activation,
            trained_activation: named.activation,
            device: self.device.clone(),
            precision: self.precision.on(&self.device),
            cache: self.cache.clone(),
            progress: self.progress,
            ..Setup::new(method, named.open()?)
        };
        let measured = self.checkpoint.is_none() && named.path.is_none();
        let range = measured.then(|| builtin::range(method.name)).flatten();
        let detectors =
            Detectors::new(named.name, setup, self.tiling)?.with_references(self.references.clone())?;
        Ok(Detectors { range, ..detectors })
    }

    fn asked_method(&self) -> Result<Option<&'static Method>> {
        let Some(name) = &self.method else { return Ok(None) };
        let known = || METHODS.iter().map(|m| m.name).collect::<Vec<_>>().join(", ");
        match Method::find(name) {
            Some(method) => Ok(Some(method)),
            None => Err(Error::Setting(format!("unknown method `{name}`: expected one of {}", known()))),
        }
    }

    /// The trained weights: those named, else those of the built-in model, unless the named method does not
    /// use them.
    fn trained(&self, model: &models::Model, method: Option<&'static Method>) -> Result<Option<Trained>> {
        if let Some(path) = &self.checkpoint {
            let wanted = method.filter(|m| m.trained.is_some());
            return Ok(Some(Trained::read(path, wanted)?));
        }
        if model.path.is_some() || method.is_some_and(|m| m.trained.is_none()) {
            return Ok(None);
        }
        let builtin = Trained::builtin()?;
        Ok(match method {
            Some(method) => builtin.of_method(method),
            None => Some(builtin),
        })
    }
}

/// An open model with a method and settings, which makes detectors for any class. All detectors share the
/// image tower.
pub struct Detectors {
    name: String,
    setup: Setup,
    model: Arc<dyn Model>,
    prompts: PromptSet,
    tiling: Option<Tiling>,
    references: References,
    range: Option<MapRange>,
}

impl Detectors {
    /// Detectors of a setup; `name` is the model's name in results.
    ///
    /// # Errors
    /// Options or trained weights do not fit the model.
    pub fn new(name: String, setup: Setup, tiling: Option<Tiling>) -> Result<Self> {
        let model = (setup.method.load)(&setup)?;
        let prompts = setup.prompts()?;
        Ok(Self { name, setup, model, prompts, tiling, references: References::default(), range: None })
    }

    /// Adds pictures of good parts for comparison; they are read with the first detector.
    ///
    /// # Errors
    /// The method does not use them.
    pub fn with_references(self, references: References) -> Result<Self> {
        let method = self.setup.method;
        let never = method.references == Compared::Never && method.scope == Scope::Picture;
        if never && !references.is_empty() {
            return Err(Error::Setting(format!(
                "method {} does not compare with reference pictures",
                method.name
            )));
        }
        Ok(Self { references, ..self })
    }

    /// The model's name in results.
    pub fn model_name(&self) -> &str {
        &self.name
    }

    /// The setup that the method was loaded from.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The method.
    pub fn method(&self) -> &'static Method {
        self.setup.method
    }

    /// The prompt ensemble, with the descriptions of known data sets.
    pub fn prompts(&self) -> &PromptSet {
        &self.prompts
    }

    /// Side of the model's input square, in pixels.
    pub fn image_size(&self) -> usize {
        self.model.preprocess().size
    }

    /// The prompts' text for a class, see [`PromptSet::describe`].
    ///
    /// # Errors
    /// The data set or class has no description.
    pub fn describe(&self, class: &str, dataset: Option<&str>) -> Result<ClassName> {
        Ok(self.prompts.describe(class, dataset)?)
    }

    /// A detector for a class.
    ///
    /// # Errors
    /// Weights cannot be read, or the class text gives no anchors.
    pub fn detector(&self, class: &ClassName) -> Result<Detector> {
        let detector = self.unprepared(class)?;
        self.prepared(detector)
    }

    /// One detector per class.
    ///
    /// # Errors
    /// Errors of [`Detectors::detector`].
    pub fn detectors(&self, classes: &BTreeMap<String, ClassName>) -> Result<BTreeMap<String, Detector>> {
        // Anchors first, so that the text tower and the image tower are not in memory together.
        let one = |(key, class): (&String, &ClassName)| Ok((key.clone(), self.unprepared(class)?));
        let all = classes.iter().map(one).collect::<Result<Vec<_>>>()?;
        all.into_iter().map(|(key, detector)| Ok((key, self.prepared(detector)?))).collect()
    }

    /// A detector with its image tower and its references loaded.
    fn prepared(&self, detector: Detector) -> Result<Detector> {
        self.remembering(detector, &self.references)
    }

    /// A detector for a class that compares with other references than the rest.
    ///
    /// # Errors
    /// Errors of [`Detectors::detector`].
    pub fn detector_with(&self, class: &ClassName, references: &References) -> Result<Detector> {
        self.remembering(self.unprepared(class)?, references)
    }

    fn remembering(&self, detector: Detector, references: &References) -> Result<Detector> {
        let method = self.setup.method;
        let folder = method.scope == Scope::Folder;
        if references.is_empty() && (folder || method.references == Compared::Needed) {
            return Err(Error::Setting(match folder {
                true => format!(
                    "method {} scores the pictures of a folder together, and there is none here",
                    method.name
                ),
                false => format!("method {} needs reference pictures", method.name),
            }));
        }
        self.model.prepare()?;
        if references.is_empty() {
            return Ok(detector);
        }
        let inputs = references.inputs(&*self.model, &self.setup.device);
        // A picture of the folder that cannot be read is reported when it is its turn to be scored.
        let mut inputs = inputs.filter(|input| !folder || input.is_ok());
        Ok(Detector { class: detector.class.with_references(&mut inputs, references.trust)?, ..detector })
    }

    fn unprepared(&self, class: &ClassName) -> Result<Detector> {
        Ok(Detector {
            method: self.setup.method,
            class: self.model.class(&self.setup.named(class))?,
            model: Arc::clone(&self.model),
            tiling: self.tiling,
            device: self.setup.device.clone(),
            range: self.range,
        })
    }

    /// Everything that scores depend on, except the picture and the class.
    ///
    /// # Errors
    /// The weights cannot be read.
    pub fn provenance(&self) -> Result<Provenance> {
        let mut p = Provenance::default();
        p.set("weights", self.setup.clip.identity()?);
        p.set("method", self.setup.method.name);
        p.set("adapters", self.setup.trained.as_ref().map_or("none".to_owned(), |t| t.digest()));
        p.set("image_size", self.image_size());
        p.set("precision", self.setup.precision.name());
        p.set("fit", self.model.preprocess().fit.name());
        if let Some(tiling) = self.tiling {
            p.set("tiling", tiling);
        }
        if !self.references.is_empty() {
            p.set("references", self.references.identity()?);
        }
        self.model.provenance(&mut p);
        Ok(p)
    }

    /// The chosen settings in one line.
    pub fn summary(&self) -> String {
        let adapters = self.setup.trained.as_ref();
        let adapters = adapters.map_or(String::new(), |t| format!(", adapters {}", t.path().display()));
        format!(
            "model {} ({}){adapters}, method {}, prompts {}, {} px, {}",
            self.name,
            self.setup.clip.weights_file().display(),
            self.setup.method.name,
            self.prompts.name,
            self.image_size(),
            self.setup.precision.name(),
        )
    }
}
