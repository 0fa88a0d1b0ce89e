//! Fields of a JSON configuration, with an error message for every mistake.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::config::{Activation, Normalisation};
use crate::files;
use crate::lines::without_mark;

/// Configurations have some kilobytes; a larger file is a wrong one.
const LARGEST_FILE: u64 = 16 << 20;

/// The reason why a model configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The configuration file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is not JSON.
    #[error("{} is not valid JSON: {source}", path.display())]
    Json {
        /// The configuration file.
        path: PathBuf,
        /// Where and why the parser stopped.
        source: serde_json::Error,
    },
    /// A field is missing, has the wrong type or an impossible value.
    #[error("{}: field `{field}`: {problem}", path.display())]
    Field {
        /// The configuration file.
        path: PathBuf,
        /// Dotted name of the field.
        field: String,
        /// The problem.
        problem: String,
    },
    /// The model described by the file is not supported.
    #[error("{}: {what} is not supported: only CLIP models with a ViT image tower are", path.display())]
    Unsupported {
        /// The configuration file.
        path: PathBuf,
        /// The field and its value.
        what: String,
    },
    /// A folder contains no configuration file.
    #[error(
        "{} contains no model configuration: expected open_clip_config.json or config.json (open_clip or Hugging Face form)",
        path.display()
    )]
    NotFound {
        /// The model folder.
        path: PathBuf,
    },
}

/// A parsed file and its path, for error messages with both.
pub(super) struct Fields {
    path: PathBuf,
    value: Value,
}

impl Fields {
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let io = |source| ConfigError::Io { path: path.to_owned(), source };
        Self::parse(path, &files::read_limited(path, LARGEST_FILE).map_err(io)?)
    }

    /// Parses the text of a file; errors name it `path`.
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self, ConfigError> {
        let value = serde_json::from_slice(without_mark(text))
            .map_err(|source| ConfigError::Json { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), value })
    }

    pub fn root(&self) -> Section<'_> {
        static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        Section { path: &self.path, name: String::new(), fields: self.value.as_object().unwrap_or(&EMPTY) }
    }
}

/// One JSON object of the file.
pub(super) struct Section<'a> {
    path: &'a Path,
    name: String,
    fields: &'a Map<String, Value>,
}

/// Far more than any published tower has; a larger number means a damaged file.
const LARGEST_COUNT: u64 = 1 << 20;

/// The same for blocks: the tensors of every block are listed before any is looked up.
const MOST_BLOCKS: u64 = 1000;

impl<'a> Section<'a> {
    pub fn problem(&self, field: &str, problem: &str) -> ConfigError {
        let field = if self.name.is_empty() { field.to_owned() } else { format!("{}.{field}", self.name) };
        ConfigError::Field { path: self.path.to_owned(), field, problem: problem.to_owned() }
    }

    pub fn missing(&self, field: &str) -> ConfigError {
        self.problem(field, "is missing")
    }

    pub fn unsupported(&self, what: &str) -> ConfigError {
        ConfigError::Unsupported { path: self.path.to_owned(), what: what.to_owned() }
    }

    pub fn has(&self, field: &str) -> bool {
        self.get(field).is_some()
    }

    /// A field that is present and not null.
    pub fn get(&self, field: &str) -> Option<&'a Value> {
        self.fields.get(field).filter(|v| !v.is_null())
    }

    pub fn object(&self, field: &str) -> Result<Option<Section<'a>>, ConfigError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let fields = value.as_object().ok_or_else(|| self.problem(field, "is not an object"))?;
        Ok(Some(Section { path: self.path, name: field.to_owned(), fields }))
    }

    pub fn text(&self, field: &str) -> Result<Option<&'a str>, ConfigError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.problem(field, "is not a string"))
    }

    pub fn flag(&self, field: &str) -> Result<bool, ConfigError> {
        let Some(value) = self.get(field) else { return Ok(false) };
        value.as_bool().ok_or_else(|| self.problem(field, "is not true or false"))
    }

    pub fn count(&self, field: &str, default: Option<usize>) -> Result<usize, ConfigError> {
        self.number(field, default, LARGEST_COUNT)
    }

    /// A number of blocks.
    pub fn depth(&self, field: &str, default: usize) -> Result<usize, ConfigError> {
        self.number(field, Some(default), MOST_BLOCKS)
    }

    fn number(&self, field: &str, default: Option<usize>, largest: u64) -> Result<usize, ConfigError> {
        let Some(value) = self.get(field) else { return default.ok_or_else(|| self.missing(field)) };
        match value.as_u64() {
            Some(n) if (1..=largest).contains(&n) => Ok(n as usize),
            _ => Err(self.problem(field, &format!("{value} is not a whole number from 1 to {largest}"))),
        }
    }

    /// A side length: a number, or a pair of equal numbers.
    pub fn side(&self, field: &str, default: Option<usize>) -> Result<usize, ConfigError> {
        match self.get(field).and_then(Value::as_array).map(Vec::as_slice) {
            Some([a, b]) if a == b => {
                let fields = Map::from_iter([(field.to_owned(), a.clone())]);
                Section { path: self.path, name: self.name.clone(), fields: &fields }.count(field, default)
            }
            Some(_) => {
                Err(self.problem(field, "is not square; only square inputs and patches are supported"))
            }
            None => self.count(field, default),
        }
    }

    pub fn positive(&self, field: &str, default: f64) -> Result<f64, ConfigError> {
        let Some(value) = self.get(field) else { return Ok(default) };
        match value.as_f64() {
            Some(x) if x > 0.0 && x.is_finite() => Ok(x),
            _ => Err(self.problem(field, &format!("{value} is not a positive number"))),
        }
    }

    /// `width` times a ratio, truncated as open_clip does.
    pub fn scaled(&self, field: &str, width: usize, default: f64) -> Result<usize, ConfigError> {
        let scaled = (width as f64 * self.positive(field, default)?) as usize;
        if scaled == 0 || scaled as u64 > LARGEST_COUNT {
            return Err(self.problem(field, &format!("gives a layer of width {scaled}")));
        }
        Ok(scaled)
    }

    pub fn activation(&self, field: &str) -> Result<Activation, ConfigError> {
        match self.text(field)? {
            None | Some("quick_gelu") => Ok(Activation::QuickGelu),
            Some("gelu") => Ok(Activation::Gelu),
            Some(other) => Err(self.unsupported(&format!("{}.{field} `{other}`", self.name))),
        }
    }

    pub fn normalisation(&self, mean: &str, std: &str) -> Result<Normalisation, ConfigError> {
        let default = Normalisation::default();
        let std = self.triple(std, default.std)?;
        if std.iter().any(|&s| s <= 0.0) {
            return Err(self.problem("std", "must be positive"));
        }
        Ok(Normalisation { mean: self.triple(mean, default.mean)?, std })
    }

    pub fn triple(&self, field: &str, default: [f32; 3]) -> Result<[f32; 3], ConfigError> {
        let Some(value) = self.get(field) else { return Ok(default) };
        let numbers: Option<Vec<f32>> =
            value.as_array().map(|a| a.iter().filter_map(Value::as_f64).map(|x| x as f32).collect());
        numbers
            .filter(|n| n.iter().all(|x| x.is_finite()))
            .and_then(|n| n.try_into().ok())
            .ok_or_else(|| self.problem(field, "is not a list of three numbers"))
    }

    pub fn refuse_set(&self, field: &str) -> Result<(), ConfigError> {
        match self.get(field) {
            Some(Value::Object(o)) if o.is_empty() => Ok(()),
            Some(value) => Err(self.unsupported(&format!("{}.{field} = {value}", self.name))),
            None => Ok(()),
        }
    }

    pub fn refuse_true(&self, field: &str) -> Result<(), ConfigError> {
        match self.get(field) {
            Some(Value::Bool(false)) | None => Ok(()),
            Some(value) => Err(self.unsupported(&format!("{}.{field} = {value}", self.name))),
        }
    }

    pub fn expect_text(&self, field: &str, only: &str) -> Result<(), ConfigError> {
        match self.text(field)? {
            Some(value) if value != only => {
                Err(self.unsupported(&format!("{}.{field} = {value}", self.name)))
            }
            _ => Ok(()),
        }
    }
}
