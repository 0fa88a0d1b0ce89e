//! The same model in every form a lab may have it gives the same result.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Tensor};

use crate::{Workplace, support};

const HF_CONFIG: &str = r#"{"model_type": "clip", "projection_dim": 16,
    "vision_config": {"hidden_size": 32, "intermediate_size": 128, "num_hidden_layers": 4, "num_attention_heads": 2,
                      "image_size": 32, "patch_size": 8, "hidden_act": "gelu"},
    "text_config": {"hidden_size": 8, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
                    "max_position_embeddings": 77, "vocab_size": 49408, "hidden_act": "gelu"}}"#;

fn score(here: &Workplace, model: &Path) -> f64 {
    let model = model.to_str().unwrap();
    let ran = here.run(&["detect", "a.png", "--format", "json", "--model", model]).ok();
    ran.json()["score"].as_f64().unwrap()
}

#[test]
fn names_layouts_and_precisions() {
    let here = Workplace::new();
    here.picture("a.png", 48, 36);
    let expected = score(&here, support::tiny_model());
    let tensors = support::tiny_tensors();
    let folder = |name: &str, config: &str| {
        let dir = here.path(name);
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(
            dir.join(if config == HF_CONFIG { "config.json" } else { "open_clip_config.json" }),
            config,
        )
        .unwrap();
        dir
    };

    let dir = folder("hugging-face", HF_CONFIG);
    candle_core::safetensors::save(&support::hugging_face(&tensors), dir.join("model.safetensors")).unwrap();
    assert!((score(&here, &dir) - expected).abs() < 1e-6);

    // The same in two shards with an index.
    let dir = folder("sharded", HF_CONFIG);
    let all = support::hugging_face(&tensors);
    let mut map = HashMap::new();
    for (i, shard) in ["model-1.safetensors", "model-2.safetensors"].into_iter().enumerate() {
        let part: HashMap<String, Tensor> =
            all.iter().filter(|(n, _)| n.len() % 2 == i).map(|(n, t)| (n.clone(), t.clone())).collect();
        map.extend(part.keys().map(|n| (n.clone(), shard)));
        candle_core::safetensors::save(&part, dir.join(shard)).unwrap();
    }
    let index = serde_json::json!({ "metadata": {}, "weight_map": map }).to_string();
    std::fs::write(dir.join("model.safetensors.index.json"), index).unwrap();
    assert!((score(&here, &dir) - expected).abs() < 1e-6);

    let renamed = |rename: &dyn Fn(&str) -> String| -> HashMap<String, Tensor> {
        tensors.iter().map(|(name, tensor)| (rename(name), tensor.clone())).collect()
    };
    for (name, tensors) in [
        ("module", renamed(&|n| format!("module.{n}"))),
        ("custom-text", renamed(&|n| if n.starts_with("visual.") { n.into() } else { format!("text.{n}") })),
    ] {
        let dir = folder(name, support::TINY_CONFIG);
        candle_core::safetensors::save(&tensors, dir.join("weights.safetensors")).unwrap();
        assert_eq!(score(&here, &dir), expected, "{name}");
    }
    // The formula's values are multiples of 1/2048 below 1: exact in f16, rounded in bf16.
    for (name, dtype, tolerance) in [("f16", DType::F16, 1e-3), ("bf16", DType::BF16, 0.05)] {
        let dir = folder(name, support::TINY_CONFIG);
        let stored: HashMap<String, Tensor> =
            tensors.iter().map(|(n, t)| (n.clone(), t.to_dtype(dtype).unwrap())).collect();
        candle_core::safetensors::save(&stored, dir.join("model.safetensors")).unwrap();
        assert!((score(&here, &dir) - expected).abs() < tolerance, "{name}");
    }
}
