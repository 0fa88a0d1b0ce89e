//! Adapter files: the official codes' checkpoints and our own.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use sha2::{Digest, Sha256};

use super::{AdapterError, Method, locate};
use crate::files;
use crate::weights::{self, TensorStore, builtin};

/// What a file of ours says about itself. Nothing of it is needed to use official checkpoints.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct AdapterHeader {
    /// The method they were trained for.
    pub method: Option<String>,
    /// The model they belong to.
    pub base_model: Option<String>,
    /// The levels they were trained at.
    pub levels: Option<Vec<usize>>,
    /// The input size they were trained at, in pixels.
    pub image_size: Option<usize>,
    /// Weight of the text adapters.
    pub text_adapt_weight: Option<f64>,
    /// Weight of the image adapters.
    pub image_adapt_weight: Option<f64>,
    /// Whether a leaky ReLU follows the projections.
    pub relu: Option<bool>,
    /// What they were trained on.
    pub training_data: Option<String>,
    /// Epochs of training.
    pub epochs: Option<String>,
}

/// A tensor of an adapter: shape and values, row-major.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Values {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// Adapters as a file holds them, before they meet a model.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterFile {
    path: PathBuf,
    header: AdapterHeader,
    /// By canonical name: `text_adapter.I`, `layer_adapters.I`, `seg_proj.I`, `det_proj`, `fc.I.weight`, `fc.I.bias`.
    tensors: BTreeMap<String, Values>,
    /// Whether the projections' names are those the reference gives them with a leaky ReLU.
    named_with_relu: bool,
}

impl AdapterFile {
    /// Reads adapters: AA-CLIP's `text_adapter.pth` and `image_adapter_N.pth` (a folder, or the image checkpoint),
    /// SDP+'s `.pth`, a `.safetensors` with the official names, or one of ours.
    ///
    /// # Errors
    /// A file that cannot be read, holds no adapters, or only some of them.
    pub fn read(path: &Path) -> Result<Self, AdapterError> {
        let none = |found: String| AdapterError::None { path: path.to_owned(), found };
        let files = locate::files(path).map_err(none)?;
        let shown = files.last().cloned().unwrap_or_else(|| path.to_owned());
        let mut all = Self {
            path: shown,
            header: AdapterHeader::default(),
            tensors: BTreeMap::new(),
            named_with_relu: false,
        };
        let mut others = Vec::new();
        for file in &files {
            others.extend(all.take(&*weights::open(file)?)?);
        }
        if all.tensors.is_empty() {
            let optimiser = others.iter().all(|n| n.contains("optimizer") || n.contains("exp_avg"));
            return Err(none(match others.first() {
                Some(_) if optimiser => "only an optimiser's state".to_owned(),
                Some(first) => format!("{} other tensors, the first is `{first}`", others.len()),
                None => "nothing".to_owned(),
            }));
        }
        all.check_gaps()?;
        Ok(all)
    }

    /// The adapters of the model that comes with the program.
    ///
    /// # Errors
    /// None in a program that was built whole.
    pub fn builtin() -> Result<Self, AdapterError> {
        let store = builtin::adapters()?;
        let mut all = Self {
            path: store.path().to_owned(),
            header: AdapterHeader::default(),
            tensors: BTreeMap::new(),
            named_with_relu: false,
        };
        all.take(&*store)?;
        all.check_gaps()?;
        Ok(all)
    }

    /// Takes all adapters of a store and tells what else is in it.
    fn take(&mut self, store: &dyn TensorStore) -> Result<Vec<String>, AdapterError> {
        self.header.take(store.metadata());
        let mut others = Vec::new();
        for name in store.names() {
            match canonical(name) {
                Some((canonical, relu)) => self.add(store, name, canonical, relu)?,
                None => others.push(name.to_owned()),
            }
        }
        Ok(others)
    }

    /// Adapters from tensors under their canonical names (`text_adapter.I`, `layer_adapters.I`, `seg_proj.I`, `det_proj`,
    /// `fc.I.weight`, `fc.I.bias`): shape and values, row-major. `path` is what errors call them.
    ///
    /// # Errors
    /// Parts that are not whole.
    pub fn from_values(
        path: &Path,
        header: AdapterHeader,
        tensors: impl IntoIterator<Item = (String, Vec<usize>, Vec<f32>)>,
    ) -> Result<Self, AdapterError> {
        let tensors =
            tensors.into_iter().map(|(name, shape, values)| (name, Values { shape, values })).collect();
        let file = Self { path: path.to_owned(), header, tensors, named_with_relu: false };
        file.check_gaps()?;
        Ok(file)
    }

    /// A tensor by its canonical name: shape and values, row-major.
    pub fn values(&self, name: &str) -> Option<(&[usize], &[f32])> {
        self.tensors.get(name).map(|v| (&v.shape[..], &v.values[..]))
    }

    fn add(
        &mut self,
        store: &dyn TensorStore,
        name: &str,
        canonical: String,
        relu: bool,
    ) -> Result<(), AdapterError> {
        let shape = store.info(name).map(|i| i.shape.clone()).unwrap_or_default();
        let values = Values { shape, values: store.read_f32(name)? };
        self.named_with_relu |= relu;
        match self.tensors.insert(canonical, values) {
            None => Ok(()),
            Some(_) => Err(self.incomplete(format!("`{name}` stands for a tensor that is there already"))),
        }
    }

    fn incomplete(&self, problem: String) -> AdapterError {
        AdapterError::Incomplete { path: self.path.clone(), problem }
    }

    /// Every part must be whole: numbered from 0, projections with their partners.
    fn check_gaps(&self) -> Result<(), AdapterError> {
        for (part, ending) in [
            ("text_adapter", ""),
            ("layer_adapters", ""),
            ("seg_proj", ""),
            ("fc", ".weight"),
            ("fc", ".bias"),
        ] {
            let numbered =
                |n: &&String| n.strip_prefix(part).is_some_and(|r| r.starts_with('.') && r.ends_with(ending));
            let count =
                self.tensors.keys().filter(numbered).filter(|n| part != "fc" || n.ends_with(ending)).count();
            if let Some(i) = (0..count).find(|i| !self.tensors.contains_key(&format!("{part}.{i}{ending}"))) {
                return Err(self.incomplete(format!("`{part}.{i}{ending}` is missing")));
            }
        }
        if self.count("fc", ".weight") != self.count("fc", ".bias") {
            return Err(self.incomplete("linear layers need a weight and a bias each".to_owned()));
        }
        let image = self.count("seg_proj", "") > 0;
        let detection = self.tensors.contains_key("det_proj");
        if image != detection || (self.count("layer_adapters", "") > 0 && !image) {
            let found =
                if image { "`seg_proj` without `det_proj`" } else { "image adapters without `seg_proj`" };
            return Err(self.incomplete(found.to_owned()));
        }
        Ok(())
    }

    /// How many tensors `PART.0ENDING`, `PART.1ENDING`, .. there are.
    pub(super) fn count(&self, part: &str, ending: &str) -> usize {
        (0..).take_while(|i| self.tensors.contains_key(&format!("{part}.{i}{ending}"))).count()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Values> {
        self.tensors.get(name)
    }

    /// The file, or the last of those read together.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file says about itself.
    pub fn header(&self) -> &AdapterHeader {
        &self.header
    }

    /// Mutable access to the header, to describe adapters before they are written.
    pub fn header_mut(&mut self) -> &mut AdapterHeader {
        &mut self.header
    }

    /// Names and shapes of all tensors.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.tensors.iter().map(|(name, v)| (name.as_str(), &v.shape[..]))
    }

    /// Whether a leaky ReLU follows the projections: as the header says, else as the reference names them.
    pub fn relu(&self) -> bool {
        self.header.relu.unwrap_or(self.named_with_relu)
    }

    /// The method the adapters imply: the header's, else what they are.
    pub fn method(&self) -> Method {
        let named =
            self.header.method.as_deref().and_then(|n| Method::ALL.into_iter().find(|m| m.name() == n));
        let linear = self.count("fc", ".weight") > 0 && self.count("seg_proj", "") == 0;
        named.unwrap_or(if linear { Method::SdpPlus } else { Method::AaClip })
    }

    /// What the file holds, in words.
    pub fn holds(&self) -> String {
        let parts = [
            (self.count("text_adapter", ""), "text adapters and projection"),
            (self.count("layer_adapters", ""), "image adapters"),
            (self.count("seg_proj", ""), "level projections"),
            (self.count("fc", ".weight"), "linear layers"),
        ];
        let parts: Vec<String> =
            parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        parts.join(", ")
    }

    /// Widths and depths, as the tensors give them: part of our own files for whoever reads their header alone.
    pub fn shapes(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let side = |name: &str, axis: usize| self.get(name).and_then(|v| v.shape.get(axis).copied());
        let projection =
            ["det_proj", "fc.0.weight"].into_iter().find(|n| self.get(n).is_some()).unwrap_or_default();
        let text = self.count("text_adapter", "");
        [
            ("image_width", side(projection, 1)),
            ("text_width", side("text_adapter.0", 1)),
            ("embed_dim", side(projection, 0)),
            ("text_adapt_until", text.checked_sub(1)),
            (
                "image_adapt_until",
                Some(self.count("layer_adapters", "")).filter(|_| self.get("det_proj").is_some()),
            ),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
    }

    /// A hash over the text tower's adapters.
    pub(super) fn text_digest(&self) -> String {
        self.digest_of("text_adapter.")
    }

    /// A hash of all tensors: equal for the same adapters in any form of file.
    pub fn digest(&self) -> String {
        self.digest_of("")
    }

    fn digest_of(&self, prefix: &str) -> String {
        let mut hash = Sha256::new();
        for (name, v) in self.tensors.iter().filter(|(n, _)| n.starts_with(prefix)) {
            hash.update(name.as_bytes());
            v.values.iter().for_each(|x| hash.update(x.to_le_bytes()));
        }
        files::hex(&hash.finalize())
    }

    /// Writes the adapters in our own form: safetensors under the official names, with a header. Atomically.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), crate::Error> {
        let failed = |source| crate::Error::io("write", path, source);
        let bytes: Vec<(String, &Values, Vec<u8>)> = self
            .tensors
            .iter()
            .map(|(name, v)| (official(name), v, v.values.iter().flat_map(|x| x.to_le_bytes()).collect()))
            .collect();
        let views = bytes
            .iter()
            .map(|(name, v, data)| Ok((name.as_str(), TensorView::new(Dtype::F32, v.shape.clone(), data)?)))
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(|e| failed(std::io::Error::other(e)))?;
        let mut header = self.header.clone();
        header.method.get_or_insert_with(|| self.method().name().to_owned());
        header.relu.get_or_insert(self.relu());
        let mut metadata = header.to_metadata();
        metadata.extend(self.shapes().map(|(key, value)| (key.to_owned(), value.to_string())));
        let data =
            safetensors::serialize(views, Some(metadata)).map_err(|e| failed(std::io::Error::other(e)))?;
        crate::files::write_atomic(path, &data).map_err(failed)
    }
}

/// The canonical name of an official one, and whether the reference uses that one with a leaky ReLU.
fn canonical(name: &str) -> Option<(String, bool)> {
    if let Some(index) = name.strip_prefix("text_adapter.").and_then(|r| r.strip_suffix(".fc.0.weight")) {
        return number(index).map(|i| (format!("text_adapter.{i}"), false));
    }
    if let Some(rest) = name.strip_prefix("image_adapter.") {
        if let Some(index) = rest.strip_prefix("layer_adapters.").and_then(|r| r.strip_suffix(".fc.0.weight"))
        {
            return number(index).map(|i| (format!("layer_adapters.{i}"), false));
        }
        let (part, relu) = match rest.strip_suffix(".fc.0.weight") {
            Some(part) => (part, true),
            None => (rest.strip_suffix(".fc.weight")?, false),
        };
        return match part.strip_prefix("seg_proj.") {
            Some(index) => number(index).map(|i| (format!("seg_proj.{i}"), relu)),
            None => (part == "det_proj").then(|| ("det_proj".to_owned(), relu)),
        };
    }
    let (index, kind) =
        name.strip_prefix("linear_layers.").unwrap_or(name).strip_prefix("fc.")?.split_once('.')?;
    let i = number(index)?;
    matches!(kind, "weight" | "bias").then(|| (format!("fc.{i}.{kind}"), false))
}

/// A number in its plain form.
fn number(text: &str) -> Option<usize> {
    text.parse().ok().filter(|n: &usize| n.to_string() == text)
}

/// The official name of a canonical one.
fn official(name: &str) -> String {
    match name {
        "det_proj" => "image_adapter.det_proj.fc.weight".to_owned(),
        _ if name.starts_with("text_adapter.") => format!("{name}.fc.0.weight"),
        _ if name.starts_with("layer_adapters.") => format!("image_adapter.{name}.fc.0.weight"),
        _ if name.starts_with("seg_proj.") => format!("image_adapter.{name}.fc.weight"),
        _ => name.to_owned(),
    }
}

impl AdapterHeader {
    /// Takes what a file's metadata says; the official checkpoints say only their epoch.
    fn take(&mut self, metadata: &BTreeMap<String, String>) {
        let get = |key: &str| metadata.get(key).cloned();
        let numbers =
            |text: String| text.split(',').map(|n| n.trim().parse().ok()).collect::<Option<Vec<usize>>>();
        self.method = get("method").or(self.method.take());
        self.base_model = get("base_model").or(self.base_model.take());
        self.levels = get("levels").and_then(numbers).or(self.levels.take());
        self.image_size = get("image_size").and_then(|t| t.parse().ok()).or(self.image_size);
        self.text_adapt_weight =
            get("text_adapt_weight").and_then(|t| t.parse().ok()).or(self.text_adapt_weight);
        self.image_adapt_weight =
            get("image_adapt_weight").and_then(|t| t.parse().ok()).or(self.image_adapt_weight);
        self.relu = get("relu").and_then(|t| t.parse().ok()).or(self.relu);
        self.training_data = get("training_data").or(self.training_data.take());
        self.epochs = get("epochs").or_else(|| get("epoch")).or(self.epochs.take());
    }

    fn to_metadata(&self) -> HashMap<String, String> {
        let levels =
            self.levels.as_ref().map(|l| l.iter().map(usize::to_string).collect::<Vec<_>>().join(","));
        let fields = [
            ("format", Some("aaclip-adapters-1".to_owned())),
            ("method", self.method.clone()),
            ("base_model", self.base_model.clone()),
            ("levels", levels),
            ("image_size", self.image_size.map(|v| v.to_string())),
            ("text_adapt_weight", self.text_adapt_weight.map(|v| v.to_string())),
            ("image_adapt_weight", self.image_adapt_weight.map(|v| v.to_string())),
            ("relu", self.relu.map(|v| v.to_string())),
            ("training_data", self.training_data.clone()),
            ("epochs", self.epochs.clone()),
        ];
        fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    }
}
