//! From arguments to a detector: what every command that runs one does first.

use std::collections::BTreeMap;

use aaclip::adapters::{AdapterFile, AdapterFit, Method};
use aaclip::anchors::{
    AnchorCache, AnchorRequest, Anchors, ClassName, Domain, PromptSet, Representative, text_anchors,
};
use aaclip::clip::{Checkpoint, SpecialTokens};
use aaclip::image::Gray16;
use aaclip::kernels::Isa;
use aaclip::models;
use aaclip::progress::Progress;
use aaclip::{Detector, DetectorMethod, DetectorSettings, Provenance, Result};
use candle_core::Device;

use crate::cli::args::detector::DetectorArgs;
use crate::cli::messages;

/// A model, a method, prompts and settings: everything but the class.
pub struct Session {
    /// The model, as results name it.
    pub model: String,
    pub method: Method,
    pub prompts: PromptSet,
    checkpoint: Checkpoint,
    adapters: Option<AdapterFile>,
    options: aaclip::adapters::AaClipOptions,
    representative: Representative,
    settings: DetectorSettings,
    /// The domain that was asked for.
    domain: Option<Domain>,
    gray16: Gray16,
    device: Device,
    cache: AnchorCache,
    progress: Progress,
}

impl Session {
    /// Opens the model and the adapters; reads no tower yet.
    ///
    /// # Errors
    /// Anything that does not exist or does not fit together.
    pub fn open(args: &DetectorArgs, progress: Progress) -> Result<Self> {
        let chosen = models::resolve(args.model.as_deref())?;
        let adapters = match &args.adapters {
            Some(path) => Some(AdapterFile::read(path)?),
            // The built-in model has adapters of its own, which are used unless a method is named that has none.
            None if chosen.dir.is_none() && args.method.may_adapt() => Some(AdapterFile::builtin()?),
            None => None,
        };
        let method = args.method(adapters.as_ref())?;
        args.check_for(method)?;
        let prompts =
            args.prompts.as_deref().unwrap_or(if method.adapts_towers() { "aa-clip" } else { "clip-ad" });
        let prompts = PromptSet::load(prompts)?;
        let representative = args.representative()?;

        let device = args.device.open()?;
        let checkpoint = chosen.open()?;
        let header = adapters.as_ref().map(AdapterFile::header);
        let levels = Some(args.levels.clone()).filter(|l| !l.is_empty());
        let settings = DetectorSettings {
            image_size: args.image_size.or(header.and_then(|h| h.image_size)),
            levels: levels.or(header.and_then(|h| h.levels.clone())),
            smoothing: args.smoothing,
            fidelity: args.fidelity.into(),
            // The registry knows what OpenAI's weights were trained with; AA-CLIP runs them with another one.
            activation: args
                .activation
                .map(Into::into)
                .or(chosen.activation.filter(|_| !method.adapts_towers())),
            fit: args.fit.into(),
            domain: Domain::default(),
            fusion: args.fusion.unwrap_or_default(),
            precision: args.precision.on(&device),
            tiling: args.tiling()?,
        };
        let session = Self {
            model: chosen.name,
            method,
            prompts,
            checkpoint,
            options: args.adapter_options(),
            adapters,
            representative,
            settings,
            domain: args.domain.map(Into::into),
            gray16: args.gray16.into(),
            device,
            cache: if args.no_cache { AnchorCache::disabled() } else { AnchorCache::new() },
            progress,
        };
        messages::note(|| session.summary());
        Ok(session)
    }

    /// What was chosen, in one line.
    fn summary(&self) -> String {
        let adapters = self
            .adapters
            .as_ref()
            .map_or(String::new(), |file| format!(", adapters {}", file.path().display()));
        let on =
            if self.device.is_cpu() { Isa::best().name().to_owned() } else { format!("{:?}", self.device) };
        format!(
            "model {} ({}){adapters}, method {}, prompts {}, {} px, {} on {on}, {} threads",
            self.model,
            self.checkpoint.weights_file().display(),
            self.method.name(),
            self.prompts.name,
            self.image_size(),
            self.settings.precision.name(),
            rayon::current_num_threads()
        )
    }

    /// The domain of a class: the one that was asked for, else its data set's.
    pub fn domain(&self, class: &ClassName) -> Domain {
        self.domain.or(class.domain).unwrap_or_default()
    }

    /// Side of the square the model looks at.
    pub fn image_size(&self) -> usize {
        self.settings.image_size(self.checkpoint.config(), self.method)
    }

    /// From now on anchors are read from the disk's cache but not added to it.
    pub fn write_no_cache(&mut self) {
        self.cache = std::mem::take(&mut self.cache).read_only();
    }

    /// The anchors of a class.
    ///
    /// # Errors
    /// As [`text_anchors`].
    pub fn anchors(&self, class: &ClassName) -> Result<Anchors> {
        let adapts = self.method.adapts_towers();
        let request = AnchorRequest {
            activation: Some(self.settings.activation(self.checkpoint.config(), self.method)),
            adapter: match self.fit() {
                Some(fit) if adapts => fit.text(&self.options)?,
                _ => None,
            },
            special: if adapts { SpecialTokens::AaClip } else { SpecialTokens::ClipAd },
            progress: self.progress,
            ..AnchorRequest::new(self.prompts.clone(), &class.text, self.representative)
        };
        text_anchors(&self.checkpoint, &request, &self.cache, &self.device)
    }

    /// A detector for a class; reads the image tower.
    ///
    /// # Errors
    /// As [`Detector::new`].
    pub fn detector(&self, anchors: &Anchors, class: &ClassName) -> Result<Detector> {
        let settings = DetectorSettings { domain: self.domain(class), ..self.settings.clone() };
        Detector::new(&self.checkpoint, anchors, self.trained()?, &settings, &self.device)
    }

    /// One detector per class; they share the tower.
    ///
    /// # Errors
    /// As [`Session::anchors`] and [`Session::detector`].
    pub fn detectors(&self, classes: &BTreeMap<String, ClassName>) -> Result<BTreeMap<String, Detector>> {
        let mut detectors: BTreeMap<String, Detector> = BTreeMap::new();
        // Anchors first: the text tower and the image tower need not be in memory together.
        let anchors = classes.values().map(|name| self.anchors(name)).collect::<Result<Vec<_>>>()?;
        for ((class, name), anchors) in classes.iter().zip(&anchors) {
            let detector = match detectors.values().next() {
                Some(first) => first.with_anchors(anchors, self.domain(name))?,
                None => self.detector(anchors, name)?,
            };
            detectors.insert(class.clone(), detector);
        }
        Ok(detectors)
    }

    fn fit(&self) -> Option<AdapterFit<'_>> {
        self.adapters.as_ref().map(|file| AdapterFit::new(file, self.checkpoint.config(), &self.device))
    }

    fn trained(&self) -> Result<DetectorMethod> {
        Ok(match (self.method, self.fit()) {
            (Method::SdpPlus, Some(fit)) => DetectorMethod::SdpPlus(fit.linear()?),
            (Method::AaClip, Some(fit)) => DetectorMethod::AaClip(fit.image(&self.options, self.method)?),
            (Method::AaSdp, Some(fit)) => DetectorMethod::AaSdp(fit.image(&self.options, self.method)?),
            _ => DetectorMethod::Sdp,
        })
    }

    /// Everything that scores depend on besides picture and class.
    ///
    /// # Errors
    /// The weights cannot be read.
    pub fn provenance(&self) -> Result<Provenance> {
        let config = self.checkpoint.config();
        let s = &self.settings;
        let mut p = Provenance::default();
        p.set("weights", self.checkpoint.identity()?);
        p.set("method", self.method.name());
        p.set("adapters", self.adapters.as_ref().map_or("none".to_owned(), AdapterFile::digest));
        p.set("prompts", self.prompts.digest());
        p.set("anchors", format!("{:?}", self.representative));
        p.set("image_size", self.image_size());
        let levels = s.levels.clone().unwrap_or_else(|| aaclip::quarters(config.vision.layers));
        p.set("levels", format!("{levels:?}"));
        p.set("smoothing", s.smoothing.map_or("default".to_owned(), |sigma| sigma.pixels().to_string()));
        p.set("fidelity", format!("{:?}", s.fidelity));
        p.set("precision", s.precision.name());
        p.set("activation", s.activation(config, self.method).name());
        p.set("fit", format!("{:?}", s.fit));
        p.set("domain", self.domain.map_or("of the class".to_owned(), |d| format!("{d:?}")));
        if let Some(tiling) = s.tiling {
            p.set("tiling", tiling);
        }
        p.set("gray16", format!("{:?}", self.gray16));
        if self.method.adapts_towers() {
            let o = &self.options;
            p.set(
                "adaptation",
                format!(
                    "text {:?} {:?} image {:?} {:?} relu {:?}",
                    o.text_adapt_until,
                    o.text_adapt_weight.map(|w| w.value()),
                    o.image_adapt_until,
                    o.image_adapt_weight.map(|w| w.value()),
                    o.relu
                ),
            );
        }
        if self.method == Method::AaSdp {
            p.set("fusion", s.fusion.share());
        }
        Ok(p)
    }
}
