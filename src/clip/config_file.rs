//! Configuration files: open_clip's `open_clip_config.json` and Hugging Face's `config.json`.

use std::path::Path;

use super::ConfigError;
use super::config::{Activation, ClipConfig, Normalisation, TextConfig, VisionConfig};
use super::config_fields::{Fields, Section};

impl ClipConfig {
    /// Reads the configuration of a model folder: `open_clip_config.json`, else `config.json` (with the pixel
    /// statistics of `preprocessor_config.json`, if present), else `model_config.json`.
    ///
    /// # Errors
    /// There is no such file, or it is invalid.
    pub fn from_dir(dir: &Path) -> Result<Self, ConfigError> {
        let found = Self::from_first(dir, &["open_clip_config.json", "config.json", "model_config.json"])?;
        found.ok_or_else(|| ConfigError::NotFound { path: dir.to_owned() })
    }

    /// Reads the first of these configurations that is in the folder.
    pub(super) fn from_first(dir: &Path, names: &[&str]) -> Result<Option<Self>, ConfigError> {
        let Some(path) = names.iter().map(|name| dir.join(name)).find(|path| path.is_file()) else {
            return Ok(None);
        };
        let mut config = Self::from_file(&path)?;
        let statistics = dir.join("preprocessor_config.json");
        if path.ends_with("config.json") && statistics.is_file() {
            let json = Fields::read(&statistics)?;
            config.normalisation = json.root().normalisation("image_mean", "image_std")?;
        }
        Ok(Some(config))
    }

    /// Reads one configuration file, in open_clip's form (with or without the `model_cfg` level) or in
    /// Hugging Face's.
    ///
    /// # Errors
    /// The file cannot be read, is not JSON, lacks a field, or describes a tower other than a CLIP ViT.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        Self::from_fields(&Fields::read(path)?)
    }

    /// Reads a built-in configuration; errors name it `path`.
    pub(super) fn from_text(path: &Path, text: &str) -> Result<Self, ConfigError> {
        Self::from_fields(&Fields::parse(path, text.as_bytes())?)
    }

    fn from_fields(json: &Fields) -> Result<Self, ConfigError> {
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
        layers: vision.depth("layers", 12)?,
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
        layers: text.depth("layers", 12)?,
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

/// transformers' `CLIPConfig`, with its defaults: old files list only differences from the defaults.
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
            layers: vision.depth("num_hidden_layers", 12)?,
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
            layers: text.depth("num_hidden_layers", 12)?,
            mlp_width: text.count("intermediate_size", Some(2048))?,
            norm_eps: text.positive("layer_norm_eps", 1e-5)?,
        },
        activation,
        normalisation: Normalisation::default(),
    };
    check(root, &config)
}

/// Checks for both forms, before any tensor is read.
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
            (r#""layers": 12, "width": 896"#, r#""layers": 1001, "width": 896"#, "vision_cfg.layers"),
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
