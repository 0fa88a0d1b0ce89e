//! Model configurations: open_clip's `open_clip_config.json` and Hugging Face's `config.json`.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

/// Why a model configuration could not be used.
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
    /// A field is missing, has the wrong type or a value no model can have.
    #[error("{}: field `{field}`: {problem}", path.display())]
    Field {
        /// The configuration file.
        path: PathBuf,
        /// Dotted name of the field.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The file describes something this program does not compute.
    #[error("{}: {what} is not supported: only CLIP models with a ViT image tower are", path.display())]
    Unsupported {
        /// The configuration file.
        path: PathBuf,
        /// The field and its value.
        what: String,
    },
    /// A folder holds no configuration file.
    #[error(
        "{} holds no model configuration: expected open_clip_config.json or config.json (open_clip or Hugging Face form)",
        path.display()
    )]
    NotFound {
        /// The model folder.
        path: PathBuf,
    },
}

/// The nonlinearity between the two layers of an MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Activation {
    /// `x * Phi(x)` with the exact normal distribution (`torch.nn.GELU()`).
    #[default]
    Gelu,
    /// `x * sigmoid(1.702 x)`: what OpenAI trained its CLIP models with.
    QuickGelu,
}

impl Activation {
    /// The name used on the command line and in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gelu => "gelu",
            Self::QuickGelu => "quick-gelu",
        }
    }
}

/// Shape of the image tower.
#[derive(Debug, Clone, PartialEq)]
pub struct VisionConfig {
    /// Side of the square input the weights were trained at, in pixels.
    pub image_size: usize,
    /// Number of transformer blocks.
    pub layers: usize,
    /// Width of a token.
    pub width: usize,
    /// Attention heads per block; divides `width`.
    pub heads: usize,
    /// Side of a square patch, in pixels.
    pub patch_size: usize,
    /// Width between the two layers of an MLP.
    pub mlp_width: usize,
    /// Whether a LayerNorm follows the position embedding.
    pub ln_pre: bool,
    /// Epsilon of every LayerNorm.
    pub norm_eps: f64,
}

impl VisionConfig {
    /// Patches along one side of an input of `image_size` pixels; a remainder is not looked at.
    pub fn grid(&self, image_size: usize) -> usize {
        image_size / self.patch_size
    }
}

/// Shape of the text tower.
#[derive(Debug, Clone, PartialEq)]
pub struct TextConfig {
    /// Tokens per sentence, start and end included.
    pub context_length: usize,
    /// Number of token ids.
    pub vocab_size: usize,
    /// Width of a token.
    pub width: usize,
    /// Attention heads per block; divides `width`.
    pub heads: usize,
    /// Number of transformer blocks.
    pub layers: usize,
    /// Width between the two layers of an MLP.
    pub mlp_width: usize,
    /// Epsilon of every LayerNorm.
    pub norm_eps: f64,
}

/// How pixels are normalised: `(value / 255 - mean) / std` per channel, RGB.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalisation {
    /// Mean per channel.
    pub mean: [f32; 3],
    /// Standard deviation per channel.
    pub std: [f32; 3],
}

impl Default for Normalisation {
    /// The values OpenAI trained CLIP with, used by both reference methods.
    fn default() -> Self {
        Self {
            mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
            std: [0.268_629_55, 0.261_302_6, 0.275_777_1],
        }
    }
}

/// Everything needed to build both towers.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipConfig {
    /// Width of the space images and texts share.
    pub embed_dim: usize,
    /// The image tower.
    pub vision: VisionConfig,
    /// The text tower.
    pub text: TextConfig,
    /// The activation the configuration asks for.
    pub activation: Activation,
    /// How pixels are normalised.
    pub normalisation: Normalisation,
}

impl ClipConfig {
    /// Reads the configuration of a model folder: `open_clip_config.json`, else `config.json` (with the pixel
    /// statistics of `preprocessor_config.json` where there is one), else `model_config.json`.
    ///
    /// # Errors
    /// No such file, or one that cannot be used.
    pub fn from_dir(dir: &Path) -> Result<Self, ConfigError> {
        let found = ["open_clip_config.json", "config.json", "model_config.json"]
            .iter()
            .map(|name| dir.join(name))
            .find(|path| path.is_file());
        let path = found.ok_or_else(|| ConfigError::NotFound { path: dir.to_owned() })?;
        let mut config = Self::from_file(&path)?;
        let statistics = dir.join("preprocessor_config.json");
        if path.ends_with("config.json") && statistics.is_file() {
            let json = Fields::read(&statistics)?;
            config.normalisation = json.root().normalisation("image_mean", "image_std")?;
        }
        Ok(config)
    }

    /// Reads one configuration file, in open_clip's form (with or without the `model_cfg` level) or in
    /// Hugging Face's.
    ///
    /// # Errors
    /// The file cannot be read, is not JSON, lacks a field or describes a tower other than a CLIP ViT.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let json = Fields::read(path)?;
        let root = json.root();
        if let Some(model) = root.object("model_cfg")? {
            let mut config = open_clip(&model)?;
            if let Some(preprocess) = root.object("preprocess_cfg")? {
                config.normalisation = preprocess.normalisation("mean", "std")?;
            }
            Ok(config)
        } else if root.has("embed_dim") {
            open_clip(&root)
        } else if root.has("vision_config") || root.text("model_type")? == Some("clip") {
            hugging_face(&root)
        } else {
            Err(root.unsupported("a configuration without `model_cfg`, `embed_dim` or `vision_config`"))
        }
    }
}

/// open_clip's `CLIPVisionCfg` and `CLIPTextCfg`, with its defaults.
fn open_clip(model: &Section<'_>) -> Result<ClipConfig, ConfigError> {
    let vision = model.object("vision_cfg")?.ok_or_else(|| model.missing("vision_cfg"))?;
    let text = model.object("text_cfg")?.ok_or_else(|| model.missing("text_cfg"))?;
    for (section, field) in [
        (&vision, "timm_model_name"),
        (&vision, "ls_init_value"),
        (&vision, "norm_kwargs"),
        (&vision, "act_kwargs"),
        (&text, "hf_model_name"),
        (&text, "ls_init_value"),
        (&text, "norm_kwargs"),
        (&text, "act_kwargs"),
    ] {
        section.refuse_set(field)?;
    }
    for (section, field) in [
        (&vision, "attentional_pool"),
        (&vision, "global_average_pool"),
        (&vision, "final_ln_after_pool"),
        (&vision, "input_patchnorm"),
        (&text, "embed_cls"),
        (&text, "no_causal_mask"),
        (&text, "proj_bias"),
    ] {
        section.refuse_true(field)?;
    }
    vision.expect_text("pool_type", "tok")?;
    vision.expect_text("pos_embed_type", "learnable")?;
    text.expect_text("pool_type", "argmax")?;
    text.expect_text("proj_type", "linear")?;

    let v = VisionConfig {
        image_size: vision.side("image_size", Some(224))?,
        layers: vision.count("layers", Some(12))?,
        width: vision.count("width", Some(768))?,
        heads: 0,
        patch_size: vision.side("patch_size", Some(16))?,
        mlp_width: 0,
        ln_pre: !vision.flag("no_ln_pre")?,
        norm_eps: 1e-5,
    };
    let head_width = vision.count("head_width", Some(64))?;
    let v = VisionConfig {
        heads: v.width / head_width,
        mlp_width: vision.scaled("mlp_ratio", v.width, 4.0)?,
        ..v
    };
    let t = TextConfig {
        context_length: text.count("context_length", Some(77))?,
        vocab_size: text.count("vocab_size", Some(49408))?,
        width: text.count("width", Some(512))?,
        heads: text.count("heads", Some(8))?,
        layers: text.count("layers", Some(12))?,
        mlp_width: 0,
        norm_eps: 1e-5,
    };
    let t = TextConfig { mlp_width: text.scaled("mlp_ratio", t.width, 4.0)?, ..t };
    let config = ClipConfig {
        embed_dim: model.count("embed_dim", None)?,
        vision: v,
        text: t,
        activation: if model.flag("quick_gelu")? { Activation::QuickGelu } else { Activation::Gelu },
        normalisation: Normalisation::default(),
    };
    check(model, &config)
}

/// transformers' `CLIPConfig`, with its defaults: old files list only what differs from them.
fn hugging_face(root: &Section<'_>) -> Result<ClipConfig, ConfigError> {
    if let Some(kind) = root.text("model_type")?
        && kind != "clip"
    {
        return Err(root.unsupported(&format!("model_type `{kind}`")));
    }
    let vision = root.object("vision_config")?.ok_or_else(|| root.missing("vision_config"))?;
    let text = root.object("text_config")?.ok_or_else(|| root.missing("text_config"))?;
    let activation = vision.activation("hidden_act")?;
    if text.activation("hidden_act")? != activation {
        return Err(text.problem("hidden_act", "differs from the image tower's"));
    }
    let config = ClipConfig {
        embed_dim: root.count("projection_dim", Some(512))?,
        vision: VisionConfig {
            image_size: vision.side("image_size", Some(224))?,
            layers: vision.count("num_hidden_layers", Some(12))?,
            width: vision.count("hidden_size", Some(768))?,
            heads: vision.count("num_attention_heads", Some(12))?,
            patch_size: vision.side("patch_size", Some(32))?,
            mlp_width: vision.count("intermediate_size", Some(3072))?,
            ln_pre: true,
            norm_eps: vision.positive("layer_norm_eps", 1e-5)?,
        },
        text: TextConfig {
            context_length: text.count("max_position_embeddings", Some(77))?,
            vocab_size: text.count("vocab_size", Some(49408))?,
            width: text.count("hidden_size", Some(512))?,
            heads: text.count("num_attention_heads", Some(8))?,
            layers: text.count("num_hidden_layers", Some(12))?,
            mlp_width: text.count("intermediate_size", Some(2048))?,
            norm_eps: text.positive("layer_norm_eps", 1e-5)?,
        },
        activation,
        normalisation: Normalisation::default(),
    };
    check(root, &config)
}

/// What both forms must satisfy before any tensor is read.
fn check(section: &Section<'_>, config: &ClipConfig) -> Result<ClipConfig, ConfigError> {
    let (v, t) = (&config.vision, &config.text);
    if v.heads == 0 || v.width % v.heads != 0 {
        return Err(
            section.problem("vision width", &format!("{} is not a multiple of the head width", v.width))
        );
    }
    if t.heads == 0 || t.width % t.heads != 0 {
        return Err(
            section.problem("text width", &format!("{} does not divide into {} heads", t.width, t.heads))
        );
    }
    if v.image_size < v.patch_size {
        return Err(section.problem("image_size", &format!("{} is less than one patch", v.image_size)));
    }
    if t.context_length < 3 {
        return Err(section.problem("context_length", "leaves no room for a word"));
    }
    Ok(config.clone())
}

/// A parsed file and its path, for errors that name both.
struct Fields {
    path: PathBuf,
    value: Value,
}

impl Fields {
    fn read(path: &Path) -> Result<Self, ConfigError> {
        let io = |source| ConfigError::Io { path: path.to_owned(), source };
        let text = std::fs::read(path).map_err(io)?;
        let value = serde_json::from_slice(&text)
            .map_err(|source| ConfigError::Json { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), value })
    }

    fn root(&self) -> Section<'_> {
        static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        Section { path: &self.path, name: String::new(), fields: self.value.as_object().unwrap_or(&EMPTY) }
    }
}

/// One JSON object of the file.
struct Section<'a> {
    path: &'a Path,
    name: String,
    fields: &'a Map<String, Value>,
}

/// No published tower comes near; a larger number is a damaged file, not a model.
const LARGEST_COUNT: u64 = 1 << 20;

impl<'a> Section<'a> {
    fn problem(&self, field: &str, problem: &str) -> ConfigError {
        let field = if self.name.is_empty() { field.to_owned() } else { format!("{}.{field}", self.name) };
        ConfigError::Field { path: self.path.to_owned(), field, problem: problem.to_owned() }
    }

    fn missing(&self, field: &str) -> ConfigError {
        self.problem(field, "is missing")
    }

    fn unsupported(&self, what: &str) -> ConfigError {
        ConfigError::Unsupported { path: self.path.to_owned(), what: what.to_owned() }
    }

    fn has(&self, field: &str) -> bool {
        self.get(field).is_some()
    }

    /// A field that is present and not null.
    fn get(&self, field: &str) -> Option<&'a Value> {
        self.fields.get(field).filter(|v| !v.is_null())
    }

    fn object(&self, field: &str) -> Result<Option<Section<'a>>, ConfigError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let fields = value.as_object().ok_or_else(|| self.problem(field, "is not an object"))?;
        Ok(Some(Section { path: self.path, name: field.to_owned(), fields }))
    }

    fn text(&self, field: &str) -> Result<Option<&'a str>, ConfigError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.problem(field, "is not a string"))
    }

    fn flag(&self, field: &str) -> Result<bool, ConfigError> {
        let Some(value) = self.get(field) else { return Ok(false) };
        value.as_bool().ok_or_else(|| self.problem(field, "is not true or false"))
    }

    fn count(&self, field: &str, default: Option<usize>) -> Result<usize, ConfigError> {
        let Some(value) = self.get(field) else { return default.ok_or_else(|| self.missing(field)) };
        match value.as_u64() {
            Some(n @ 1..=LARGEST_COUNT) => Ok(n as usize),
            _ => {
                Err(self.problem(field, &format!("{value} is not a whole number from 1 to {LARGEST_COUNT}")))
            }
        }
    }

    /// A side length: a number, or a pair of equal numbers.
    fn side(&self, field: &str, default: Option<usize>) -> Result<usize, ConfigError> {
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

    fn positive(&self, field: &str, default: f64) -> Result<f64, ConfigError> {
        let Some(value) = self.get(field) else { return Ok(default) };
        match value.as_f64() {
            Some(x) if x > 0.0 && x.is_finite() => Ok(x),
            _ => Err(self.problem(field, &format!("{value} is not a positive number"))),
        }
    }

    /// `width` times a ratio, truncated as open_clip does.
    fn scaled(&self, field: &str, width: usize, default: f64) -> Result<usize, ConfigError> {
        let scaled = (width as f64 * self.positive(field, default)?) as usize;
        if scaled == 0 || scaled as u64 > LARGEST_COUNT {
            return Err(self.problem(field, &format!("gives a layer of width {scaled}")));
        }
        Ok(scaled)
    }

    fn activation(&self, field: &str) -> Result<Activation, ConfigError> {
        match self.text(field)? {
            None | Some("quick_gelu") => Ok(Activation::QuickGelu),
            Some("gelu") => Ok(Activation::Gelu),
            Some(other) => Err(self.unsupported(&format!("{}.{field} `{other}`", self.name))),
        }
    }

    fn normalisation(&self, mean: &str, std: &str) -> Result<Normalisation, ConfigError> {
        let default = Normalisation::default();
        let std = self.triple(std, default.std)?;
        if std.iter().any(|&s| s <= 0.0) {
            return Err(self.problem("std", "must be positive"));
        }
        Ok(Normalisation { mean: self.triple(mean, default.mean)?, std })
    }

    fn triple(&self, field: &str, default: [f32; 3]) -> Result<[f32; 3], ConfigError> {
        let Some(value) = self.get(field) else { return Ok(default) };
        let numbers: Option<Vec<f32>> =
            value.as_array().map(|a| a.iter().filter_map(Value::as_f64).map(|x| x as f32).collect());
        numbers
            .filter(|n| n.iter().all(|x| x.is_finite()))
            .and_then(|n| n.try_into().ok())
            .ok_or_else(|| self.problem(field, "is not a list of three numbers"))
    }

    fn refuse_set(&self, field: &str) -> Result<(), ConfigError> {
        match self.get(field) {
            Some(Value::Object(o)) if o.is_empty() => Ok(()),
            Some(value) => Err(self.unsupported(&format!("{}.{field} = {value}", self.name))),
            None => Ok(()),
        }
    }

    fn refuse_true(&self, field: &str) -> Result<(), ConfigError> {
        match self.get(field) {
            Some(Value::Bool(false)) | None => Ok(()),
            Some(value) => Err(self.unsupported(&format!("{}.{field} = {value}", self.name))),
        }
    }

    fn expect_text(&self, field: &str, only: &str) -> Result<(), ConfigError> {
        match self.text(field)? {
            Some(value) if value != only => {
                Err(self.unsupported(&format!("{}.{field} = {value}", self.name)))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<ClipConfig, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        std::fs::write(&path, json).unwrap();
        ClipConfig::from_file(&path)
    }

    const B16_PLUS: &str = r#"{"embed_dim": 640,
        "vision_cfg": {"image_size": 240, "layers": 12, "width": 896, "patch_size": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 640, "heads": 10, "layers": 12}}"#;

    #[test]
    fn open_clip_with_and_without_the_outer_level() {
        let bare = parse(B16_PLUS).unwrap();
        assert_eq!((bare.vision.heads, bare.vision.mlp_width, bare.text.mlp_width), (14, 3584, 2560));
        assert!(bare.vision.ln_pre);
        assert_eq!(bare.activation, Activation::Gelu);
        let wrapped = format!(
            r#"{{"model_cfg": {B16_PLUS}, "preprocess_cfg": {{"mean": [0.5, 0.5, 0.5], "std": [1, 1, 1]}}}}"#
        );
        let wrapped = parse(&wrapped).unwrap();
        assert_eq!(wrapped.normalisation, Normalisation { mean: [0.5; 3], std: [1.0; 3] });
        assert_eq!(ClipConfig { normalisation: bare.normalisation, ..wrapped }, bare);
    }

    #[test]
    fn open_clip_options() {
        let c = parse(
            r#"{"embed_dim": 8, "quick_gelu": true,
                "vision_cfg": {"image_size": [32, 32], "layers": 2, "width": 64, "head_width": 16, "patch_size": 8,
                               "mlp_ratio": 2.5, "no_ln_pre": true, "patch_dropout": 0.2},
                "text_cfg": {"context_length": 16, "vocab_size": 99, "width": 32, "heads": 4, "layers": 1}}"#,
        )
        .unwrap();
        assert_eq!(
            (c.vision.image_size, c.vision.heads, c.vision.mlp_width, c.vision.ln_pre),
            (32, 4, 160, false)
        );
        assert_eq!(c.activation, Activation::QuickGelu);
        assert_eq!(c.vision.grid(39), 4);
    }

    #[test]
    fn hugging_face_defaults_fill_what_old_files_leave_out() {
        let c = parse(
            r#"{"model_type": "clip", "projection_dim": 768,
                "vision_config": {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
                                  "num_attention_heads": 16, "image_size": 336, "patch_size": 14},
                "text_config": {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}}"#,
        )
        .unwrap();
        assert_eq!((c.text.layers, c.text.vocab_size, c.text.context_length), (12, 49408, 77));
        assert_eq!((c.vision.heads, c.vision.grid(518)), (16, 37));
        assert_eq!(c.activation, Activation::QuickGelu);
    }

    #[test]
    fn what_cannot_be_computed_is_refused_by_name() {
        let with = |from: &str, to: &str| parse(&B16_PLUS.replace(from, to)).unwrap_err().to_string();
        for (from, to, expected) in [
            (r#""width": 896"#, r#""width": 900"#, "vision width"),
            (r#""width": 896"#, r#""width": 0"#, "vision_cfg.width"),
            (r#""width": 896"#, r#""width": -4"#, "vision_cfg.width"),
            (r#""width": 896"#, r#""width": 99999999999"#, "vision_cfg.width"),
            (r#""layers": 12, "width": 896"#, r#""layers": [3, 4, 6, 3], "width": 64"#, "vision_cfg.layers"),
            (r#""patch_size": 16"#, r#""patch_size": [16, 8]"#, "vision_cfg.patch_size"),
            (r#""patch_size": 16"#, r#""timm_model_name": "x""#, "timm_model_name"),
            (r#""patch_size": 16"#, r#""attentional_pool": true"#, "attentional_pool"),
            (r#""heads": 10"#, r#""heads": 7"#, "text width"),
            (r#""heads": 10"#, r#""heads": 10, "pool_type": "last""#, "pool_type"),
            (r#""embed_dim": 640"#, r#""embed_dim": "x""#, "embed_dim"),
            (r#""embed_dim": 640,"#, "", "without `model_cfg`"),
        ] {
            let message = with(from, to);
            assert!(message.contains(expected), "{to}: {message}");
            assert!(message.contains("config.json"), "{message}");
        }
        assert!(matches!(parse("{"), Err(ConfigError::Json { .. })));
        assert!(matches!(parse("[]"), Err(ConfigError::Unsupported { .. })));
        assert!(matches!(
            parse(r#"{"model_type": "siglip", "vision_config": {}}"#),
            Err(ConfigError::Unsupported { .. })
        ));
    }
}
