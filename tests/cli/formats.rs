//! The same model in every form a lab may have it gives the same result.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Tensor};

use crate::snapshot::Refusals;
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

/// Heads of the usual width, so that shapes tell everything but the activation.
const USUAL_CONFIG: &str = r#"{"model_cfg": {"embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 4, "width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1}}}"#;

#[test]
fn a_weights_file_alone_is_a_model() {
    let here = Workplace::new();
    here.picture("a.png", 48, 36);
    let tensors = support::formula_tensors(USUAL_CONFIG);
    let file = |name: &str, tensors: &HashMap<String, Tensor>| {
        let path = here.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        candle_core::safetensors::save(tensors, &path).unwrap();
        path
    };
    let whole = file("folder/open_clip_model.safetensors", &tensors);
    let config = here.path("folder/open_clip_config.json");
    std::fs::write(&config, USUAL_CONFIG).unwrap();
    let gelu = score(&here, &here.path("folder"));
    std::fs::write(&config, USUAL_CONFIG.replacen("16,", "16, \"quick_gelu\": true,", 1)).unwrap();
    let quick = score(&here, &here.path("folder"));
    assert_ne!(gelu, quick);
    // A configuration beside the file is used; without one the shapes are, and the activation by the rules.
    assert_eq!(score(&here, &whole), quick);
    std::fs::remove_file(config).unwrap();
    assert_eq!(score(&here, &whole), gelu);
    let mut archive = tensors.clone();
    archive.insert("input_resolution".into(), Tensor::new(32i64, &candle_core::Device::Cpu).unwrap());
    assert_eq!(score(&here, &file("openai.safetensors", &archive)), quick);
    let names = support::hugging_face(&tensors);
    assert!((score(&here, &file("hugging-face.safetensors", &names)) - quick).abs() < 1e-6);
    let state_dict = here.path("model.pt");
    std::fs::write(&state_dict, torch_archive(&tensors)).unwrap();
    assert_eq!(score(&here, &state_dict), gelu);
    // Another configuration in the folder of a single file concerns that file only.
    std::fs::write(here.path("config.json"), "{}").unwrap();
    assert_eq!(score(&here, &state_dict), gelu);

    std::fs::write(here.path("notes.txt"), "notes").unwrap();
    let adapter = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/torch/adapter.pth");
    std::fs::copy(adapter, here.path("adapter.pth")).unwrap();
    file("tiny.safetensors", &support::tiny_tensors());
    let mut refused = Refusals::default();
    for name in ["notes.txt", "adapter.pth", "tiny.safetensors", "none.pt"] {
        let arguments = ["detect", "a.png", "--model", name];
        refused.line(&arguments, &here.run(&arguments));
    }
    let _filters = here.filters();
    insta::assert_snapshot!(refused.0);
}

/// A state dict as `torch.save` writes it.
fn torch_archive(tensors: &HashMap<String, Tensor>) -> Vec<u8> {
    use std::io::Write;
    fn text(into: &mut Vec<u8>, text: &str) {
        into.push(b'X');
        into.extend((text.len() as u32).to_le_bytes());
        into.extend(text.as_bytes());
    }
    fn numbers(into: &mut Vec<u8>, numbers: &[usize]) {
        into.push(b'(');
        for &n in numbers {
            into.push(b'J');
            into.extend((n as u32).to_le_bytes());
        }
        into.push(b't');
    }
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut pickle = b"\x80\x02}(".to_vec();
    for (key, (name, tensor)) in tensors.iter().enumerate() {
        let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
        text(&mut pickle, name);
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut pickle, "storage");
        pickle.extend(b"ctorch\nFloatStorage\n");
        text(&mut pickle, &key.to_string());
        text(&mut pickle, "cpu");
        pickle.push(b'J');
        pickle.extend((values.len() as u32).to_le_bytes());
        pickle.extend(b"tQJ\0\0\0\0");
        numbers(&mut pickle, tensor.dims());
        numbers(&mut pickle, tensor.stride());
        pickle.extend(b"\x89ccollections\nOrderedDict\n)RtR");
        archive.start_file(format!("model/data/{key}"), stored).unwrap();
        archive.write_all(&values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
    }
    pickle.extend(b"u.");
    archive.start_file("model/data.pkl", stored).unwrap();
    archive.write_all(&pickle).unwrap();
    archive.finish().unwrap().into_inner()
}
