//! AA-CLIP's trained weights: the names in official checkpoints, and the conversion to adapters.

use candle_core::{Device, Tensor};

use super::{
    IMAGE_ADAPT_UNTIL, IMAGE_ADAPT_WEIGHT, ImageAdapter, RELU, Share, TEXT_ADAPT_UNTIL, TEXT_ADAPT_WEIGHT,
    TextAdapter, files,
};
use crate::clip::ClipConfig;
use crate::methods::options::MethodOption;
use crate::methods::trained::{Canonical, Part, index};
use crate::methods::{Method, OptionValues, Trained, TrainedError, TrainedFormat};

/// `text_adapter.I`, `layer_adapters.I`, `seg_proj.I`, `det_proj`.
pub static FORMAT: TrainedFormat = TrainedFormat {
    about: "AA-CLIP's image adapters",
    files: files::files,
    canonical,
    official,
    parts: &[
        Part { prefix: "text_adapter", ending: "", about: "text adapters and projection" },
        Part { prefix: "layer_adapters", ending: "", about: "image adapters" },
        Part { prefix: "seg_proj", ending: "", about: "level projections" },
    ],
    check,
    shapes,
    options: &[&TEXT_ADAPT_WEIGHT, &IMAGE_ADAPT_WEIGHT, &RELU],
};

/// The name in this program. The reference uses other names for projections followed by a leaky ReLU.
fn canonical(official: &str) -> Option<Canonical> {
    let numbered = |part: &str, text: &str| Some(Canonical::plain(format!("{part}.{}", index(text)?)));
    if let Some(text) = official.strip_prefix("text_adapter.") {
        return numbered("text_adapter", text.strip_suffix(".fc.0.weight")?);
    }
    let rest = official.strip_prefix("image_adapter.")?;
    if let Some(text) = rest.strip_prefix("layer_adapters.") {
        return numbered("layer_adapters", text.strip_suffix(".fc.0.weight")?);
    }
    let (part, says) = match rest.strip_suffix(".fc.0.weight") {
        Some(part) => (part, Some(("relu", "true"))),
        None => (rest.strip_suffix(".fc.weight")?, None),
    };
    let name = match part.strip_prefix("seg_proj.") {
        Some(text) => format!("seg_proj.{}", index(text)?),
        None if part == "det_proj" => part.to_owned(),
        None => return None,
    };
    Some(Canonical { name, says })
}

fn official(name: &str) -> String {
    match name {
        "det_proj" => "image_adapter.det_proj.fc.weight".to_owned(),
        _ if name.starts_with("text_adapter.") => format!("{name}.fc.0.weight"),
        _ if name.starts_with("layer_adapters.") => format!("image_adapter.{name}.fc.0.weight"),
        _ => format!("image_adapter.{name}.fc.weight"),
    }
}

/// Each projection needs its counterparts. Text adapters alone are complete: they are the result of training
/// stage 1.
fn check(weights: &Trained) -> Result<(), String> {
    let image = weights.count("seg_proj", "") > 0;
    match (image, weights.get("det_proj").is_some()) {
        (true, false) => Err("`seg_proj` without `det_proj`".to_owned()),
        (false, true) => Err("image adapters without `seg_proj`".to_owned()),
        (false, false) if weights.count("layer_adapters", "") > 0 => {
            Err("image adapters without `seg_proj`".to_owned())
        }
        _ => Ok(()),
    }
}

fn shapes(weights: &Trained) -> Vec<(&'static str, usize)> {
    let side = |name: &str, axis: usize| weights.get(name).and_then(|v| v.shape.get(axis).copied());
    let image = weights.get("det_proj").is_some();
    let found = [
        ("image_width", side("det_proj", 1)),
        ("text_width", side("text_adapter.0", 1)),
        ("embed_dim", side("det_proj", 0)),
        ("text_adapt_until", weights.count("text_adapter", "").checked_sub(1)),
        ("image_adapt_until", image.then(|| weights.count("layer_adapters", ""))),
    ];
    found.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// The adapters of a file, for a model and options.
#[derive(Clone, Copy)]
pub struct Adapters<'a> {
    /// The file.
    pub weights: &'a Trained,
    /// The model.
    pub config: &'a ClipConfig,
    /// The device of the adapters.
    pub device: &'a Device,
    /// The given options; an option that is not given comes from the file's header, else from the reference.
    pub options: &'a OptionValues,
}

impl Adapters<'_> {
    /// The text adapters; `None` if the file has none, in which case the reference uses the plain text tower.
    ///
    /// # Errors
    /// The adapters belong to another model.
    pub fn text(&self) -> crate::Result<Option<TextAdapter>> {
        let count = self.weights.count("text_adapter", "");
        let Some(blocks) = count.checked_sub(1) else { return Ok(None) };
        let (width, space) = (self.config.text.width, self.config.embed_dim);
        let until = self.depth("text", &TEXT_ADAPT_UNTIL, blocks, self.config.text.layers)?;
        let share = self.share(&TEXT_ADAPT_WEIGHT)?;
        let digest = self.weights.digest_of("text_adapter.");
        Ok(Some(TextAdapter::new(
            self.numbered("text_adapter", until, [width, width])?,
            share,
            self.weights.tensor(&format!("text_adapter.{blocks}"), &[space, width], self.device)?,
            format!("{digest} {until} {}", share.value()),
        )))
    }

    /// The image adapters. Errors name the method `method`.
    ///
    /// # Errors
    /// There are no image adapters, or they belong to another model.
    pub fn image(&self, method: &Method) -> crate::Result<ImageAdapter> {
        let levels = self.weights.count("seg_proj", "");
        if levels == 0 {
            return Err(TrainedError::Method {
                method: method.name,
                needs: FORMAT.about,
                path: self.weights.path().to_owned(),
                holds: self.weights.holds(),
            }
            .into());
        }
        let (width, space) = (self.config.vision.width, self.config.embed_dim);
        let blocks = self.weights.count("layer_adapters", "");
        let until = self.depth("image", &IMAGE_ADAPT_UNTIL, blocks, self.config.vision.layers)?;
        Ok(ImageAdapter::new(
            self.numbered("layer_adapters", until, [width, width])?,
            self.share(&IMAGE_ADAPT_WEIGHT)?,
            self.numbered("seg_proj", levels, [space, width])?,
            self.weights.tensor("det_proj", &[space, width], self.device)?,
            self.relu()?,
        ))
    }

    /// Whether a leaky ReLU follows the image projections.
    ///
    /// # Errors
    /// The option's value is invalid, which was checked when it was set.
    pub fn relu(&self) -> crate::Result<bool> {
        Ok(self.options.get(&RELU)?.or_else(|| self.weights.header().number("relu")).unwrap_or(false))
    }

    fn numbered(&self, part: &str, count: usize, shape: [usize; 2]) -> crate::Result<Vec<Tensor>> {
        (0..count).map(|i| self.weights.tensor(&format!("{part}.{i}"), &shape, self.device)).collect()
    }

    fn share(&self, option: &MethodOption) -> crate::Result<Share> {
        let recorded = || self.weights.header().number(&option.name.replace('-', "_"));
        let asked: Option<f64> = self.options.get(option)?;
        Ok(asked.or_else(recorded).and_then(Share::new).unwrap_or(Share::AA_CLIP))
    }

    fn depth(&self, tower: &str, option: &MethodOption, there: usize, layers: usize) -> crate::Result<usize> {
        let wanted: Option<usize> = self.options.get(option)?;
        let problem = match wanted {
            Some(until) if until > there => {
                format!("--{} {until}, but it has {there} {tower} adapters", option.name)
            }
            _ if there > layers => {
                format!("{there} {tower} adapters, but the {tower} tower has {layers} blocks")
            }
            _ => return Ok(wanted.unwrap_or(there)),
        };
        let (path, made_for) = (self.weights.path().to_owned(), self.weights.made_for());
        Err(TrainedError::Depth { path, what: problem, made_for }.into())
    }
}
