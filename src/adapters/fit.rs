//! Adapters meet a model.

use candle_core::{Device, Tensor};
use candle_nn::Linear;

use super::file::Values;
use super::{AdaptedText, AdapterError, AdapterFile, ImageAdapter, LinearLayers, Method, Share};
use crate::clip::ClipConfig;
use crate::models::Registry;

/// Settings of AA-CLIP that change what adapters do; `None` is the file's own, else the reference's.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct AaClipOptions {
    /// Text blocks whose output is adapted.
    pub text_adapt_until: Option<usize>,
    /// Image blocks whose output is adapted.
    pub image_adapt_until: Option<usize>,
    /// Weight of the text adapters.
    pub text_adapt_weight: Option<Share>,
    /// Weight of the image adapters.
    pub image_adapt_weight: Option<Share>,
    /// Whether a leaky ReLU follows the image projections.
    pub relu: Option<bool>,
}

/// A file's adapters, checked against a model's configuration.
pub struct AdapterFit<'a> {
    file: &'a AdapterFile,
    config: &'a ClipConfig,
    device: &'a Device,
}

impl<'a> AdapterFit<'a> {
    /// Puts a file and a model's configuration together; nothing is checked yet.
    pub fn new(file: &'a AdapterFile, config: &'a ClipConfig, device: &'a Device) -> Self {
        Self { file, config, device }
    }

    /// AA-CLIP's text adapters; `None` if the file has none, where the reference uses the plain text tower.
    ///
    /// # Errors
    /// Adapters of another model.
    pub fn text(&self, options: &AaClipOptions) -> crate::Result<Option<AdaptedText>> {
        let count = self.file.count("text_adapter", "");
        let Some(blocks) = count.checked_sub(1) else { return Ok(None) };
        let (width, space) = (self.config.text.width, self.config.embed_dim);
        let until = self.depth("text", options.text_adapt_until, blocks, self.config.text.layers)?;
        let tensor = |i: usize, shape: [usize; 2]| self.tensor(&format!("text_adapter.{i}"), &shape);
        let share = options.text_adapt_weight.or(self.file.header().text_adapt_weight.and_then(Share::new));
        let share = share.unwrap_or(Share::AA_CLIP);
        Ok(Some(AdaptedText::new(
            (0..until).map(|i| tensor(i, [width, width])).collect::<crate::Result<_>>()?,
            share,
            tensor(blocks, [space, width])?,
            format!("{} {until} {}", self.file.text_digest(), share.value()),
        )))
    }

    /// AA-CLIP's image adapters.
    ///
    /// # Errors
    /// No such adapters, or those of another model.
    pub fn image(&self, options: &AaClipOptions, method: Method) -> crate::Result<ImageAdapter> {
        let levels = self.file.count("seg_proj", "");
        if levels == 0 {
            return Err(self.wrong_method(method, "AA-CLIP's image adapters"));
        }
        let (width, space) = (self.config.vision.width, self.config.embed_dim);
        let blocks = self.file.count("layer_adapters", "");
        let until = self.depth("image", options.image_adapt_until, blocks, self.config.vision.layers)?;
        let square = |i: usize| self.tensor(&format!("layer_adapters.{i}"), &[width, width]);
        let share = options.image_adapt_weight.or(self.file.header().image_adapt_weight.and_then(Share::new));
        Ok(ImageAdapter::new(
            (0..until).map(square).collect::<crate::Result<_>>()?,
            share.unwrap_or(Share::AA_CLIP),
            (0..levels)
                .map(|i| self.tensor(&format!("seg_proj.{i}"), &[space, width]))
                .collect::<crate::Result<_>>()?,
            self.tensor("det_proj", &[space, width])?,
            options.relu.unwrap_or_else(|| self.file.relu()),
        ))
    }

    /// SDP+'s linear layers.
    ///
    /// # Errors
    /// No such layers, or those of another model.
    pub fn linear(&self) -> crate::Result<LinearLayers> {
        let count = self.file.count("fc", ".weight");
        if count == 0 {
            return Err(self.wrong_method(Method::SdpPlus, "SDP+'s linear layers"));
        }
        let (width, space) = (self.config.vision.width, self.config.embed_dim);
        let layer = |i: usize| -> crate::Result<Linear> {
            let weight = self.tensor(&format!("fc.{i}.weight"), &[space, width])?;
            Ok(Linear::new(weight, Some(self.tensor(&format!("fc.{i}.bias"), &[space])?)))
        };
        Ok(LinearLayers((0..count).map(layer).collect::<crate::Result<_>>()?))
    }

    fn wrong_method(&self, method: Method, needs: &'static str) -> crate::Error {
        let (path, holds) = (self.file.path().to_owned(), self.file.holds());
        AdapterError::Method { method: method.name(), needs, path, holds }.into()
    }

    fn depth(&self, tower: &str, wanted: Option<usize>, there: usize, layers: usize) -> crate::Result<usize> {
        let problem = match wanted {
            Some(until) if until > there => {
                format!("--{tower}-adapt-until {until}, but it has {there} {tower} adapters")
            }
            _ if there > layers => format!("{there} {tower} adapters for a {tower} tower of {layers} blocks"),
            _ => return Ok(wanted.unwrap_or(there)),
        };
        let (path, made_for) = (self.file.path().to_owned(), self.made_for());
        Err(AdapterError::Depth { path, what: problem, made_for }.into())
    }

    fn tensor(&self, name: &str, expected: &[usize]) -> crate::Result<Tensor> {
        let missing = || AdapterError::Incomplete {
            path: self.file.path().to_owned(),
            problem: format!("`{name}` is missing"),
        };
        let Values { shape, values } = self.file.get(name).ok_or_else(missing)?;
        if shape != expected {
            return Err(AdapterError::OtherModel {
                path: self.file.path().to_owned(),
                tensor: name.to_owned(),
                expected: expected.to_vec(),
                found: shape.clone(),
                made_for: self.made_for(),
            }
            .into());
        }
        Ok(Tensor::from_vec(values.clone(), expected, self.device)?)
    }

    /// The model the adapters were made for: by name if the file says so, else by its widths.
    fn made_for(&self) -> String {
        if let Some(name) = &self.file.header().base_model {
            return name.clone();
        }
        let projection = ["det_proj", "fc.0.weight"].iter().find_map(|n| self.file.get(n));
        let Some([space, width]) = projection.map(|v| &v.shape[..]) else {
            return "an unknown model".to_owned();
        };
        let known = Registry::load().ok();
        let names: Vec<&str> = (known.iter().flat_map(Registry::entries))
            .filter(|e| e.width == *width)
            .map(|e| e.name.as_str())
            .collect();
        let like = if names.is_empty() { String::new() } else { format!(" (as {} has)", names.join(", ")) };
        format!("an image tower of width {width}{like} and a shared space of {space}")
    }
}
