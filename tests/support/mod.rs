//! What several test binaries share.
#![allow(dead_code)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use candle_core::{Device, Tensor};

/// The folder of golden cases: `AACLIP_GOLDEN`, else `../shared/golden/public` beside the repository.
///
/// `None`, said loudly, where there is none: the tests that need it then pass without having checked anything.
pub fn golden() -> Option<PathBuf> {
    resource("AACLIP_GOLDEN", "../shared/golden/public")
}

/// The folder of real pictures: `AACLIP_MVTEC`, else `../shared/mvtec` beside the repository.
pub fn mvtec() -> Option<PathBuf> {
    resource("AACLIP_MVTEC", "../shared/mvtec")
}

fn resource(variable: &str, default: &str) -> Option<PathBuf> {
    let dir = std::env::var_os(variable)
        .map(PathBuf::from)
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(default));
    if dir.is_dir() {
        return Some(dir);
    }
    skip(&format!("{} does not exist; set {variable} to run this test", dir.display()));
    None
}

/// Says that a test cannot run here, and why.
pub fn skip(why: &str) {
    eprintln!("SKIPPED: {why}");
}

/// The folder of one golden case: the small ones are part of the repository.
fn case_folder(case: &str) -> Option<PathBuf> {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden").join(case);
    if std::env::var_os("AACLIP_GOLDEN").is_none() && kept.is_dir() {
        Some(kept)
    } else {
        Some(golden()?.join(case))
    }
}

/// The tensors of one golden case.
pub fn tensors(case: &str) -> Option<HashMap<String, Tensor>> {
    let path = case_folder(case)?.join("tensors.safetensors");
    Some(candle_core::safetensors::load(path, &Device::Cpu).expect("golden tensors"))
}

/// `case.json` of one golden case.
pub fn case(case: &str) -> Option<serde_json::Value> {
    let text = std::fs::read_to_string(case_folder(case)?.join("case.json")).expect("case.json");
    Some(serde_json::from_str(&text).expect("case.json"))
}

/// A folder with the golden model: its configuration and weights, the token embedding made from its formula.
pub fn golden_model() -> Option<&'static Path> {
    static MODEL: OnceLock<Option<PathBuf>> = OnceLock::new();
    let build = || {
        golden()
            .map(|g| model_folder(&g.to_string_lossy(), |dir| build_golden_model(&g.join("weights"), dir)))
    };
    MODEL.get_or_init(build).as_deref()
}

/// A folder with a CLIP model of our own, as small as the vocabulary allows: formula weights, nothing it says
/// about a picture means anything.
pub fn tiny_model() -> &'static Path {
    static MODEL: OnceLock<PathBuf> = OnceLock::new();
    MODEL.get_or_init(|| {
        model_folder("tiny", |dir| {
            std::fs::write(dir.join("open_clip_config.json"), TINY_CONFIG).unwrap();
            candle_core::safetensors::save(&tiny_tensors(), dir.join("open_clip_model.safetensors")).unwrap();
        })
    })
}

/// The tiny model's configuration.
pub const TINY_CONFIG: &str = r#"{"model_cfg": {"embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 4, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1}}}"#;

/// The tiny model's tensors, under open_clip's names.
pub fn tiny_tensors() -> HashMap<String, Tensor> {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("open_clip_config.json");
    std::fs::write(&config, TINY_CONFIG).unwrap();
    let config = aaclip::clip::ClipConfig::from_file(&config).unwrap();
    let parameters = aaclip::clip::parameters(&config);
    let tensor = |(k, p): (usize, &aaclip::weights::Parameter)| {
        let count: usize = p.shape.iter().product();
        let gain = if p.name.contains("ln_") && p.name.ends_with("weight") { (1.0, 0.2) } else { (0.0, 1.0) };
        let values: Vec<f32> = (0..count as u32)
            .map(|i| gain.0 + gain.1 * hashed(i.wrapping_add(7919 * k as u32 + 1)))
            .collect();
        (p.name.clone(), Tensor::from_vec(values, &p.shape[..], &Device::Cpu).unwrap())
    };
    parameters.iter().enumerate().map(tensor).collect()
}

/// A folder that `build` fills once; several test programs may want it at the same time.
fn model_folder(name: &str, build: impl FnOnce(&Path)) -> PathBuf {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hash = DefaultHasher::new();
    (name, include_str!("mod.rs")).hash(&mut hash);
    let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = root.join(format!("model-{:016x}", hash.finish()));
    if !folder.is_dir() {
        let fresh = tempfile::tempdir_in(root).unwrap();
        build(fresh.path());
        if std::fs::rename(fresh.path(), &folder).is_ok() {
            // It lives on under its new name.
            let _ = fresh.keep();
        }
    }
    folder
}

fn build_golden_model(weights: &Path, dir: &Path) {
    let about: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(weights.join("weights.json")).unwrap()).unwrap();
    let formula = &about["token_embedding_weight"];
    let number = |v: &serde_json::Value| v.as_u64().unwrap() as usize;
    let (rows, columns) = (number(&formula["shape"][0]), number(&formula["shape"][1]));
    let add = number(&formula["add"]) as u32;
    let values: Vec<f32> = (0..(rows * columns) as u32).map(|i| hashed(i.wrapping_add(add))).collect();
    let mut tensors =
        candle_core::safetensors::load(weights.join("clip_f32.safetensors"), &Device::Cpu).unwrap();
    tensors.insert(
        "token_embedding.weight".into(),
        Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap(),
    );
    candle_core::safetensors::save(&tensors, dir.join("open_clip_model.safetensors")).unwrap();
    std::fs::copy(weights.join("model_config.json"), dir.join("open_clip_config.json")).unwrap();
}

/// The golden data's integer hash to `[-0.5, 0.5)`.
fn hashed(mut h: u32) -> f32 {
    h ^= h >> 16;
    h = h.wrapping_mul(0x7FEB_352D);
    h ^= h >> 15;
    h = h.wrapping_mul(0x846C_A68B);
    h ^= h >> 16;
    ((h >> 21) as i32 - 1024) as f32 / 2048.0
}

/// The largest absolute difference, and that divided by the range of `expected`.
pub fn difference(found: &Tensor, expected: &Tensor) -> (f32, f32) {
    assert_eq!(found.dims(), expected.dims());
    let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (found, expected) = (flat(found), flat(expected));
    let largest = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, |m: f32, d| {
        assert!(d.is_finite());
        m.max(d)
    });
    let range = expected.iter().fold((f32::MAX, f32::MIN), |(lo, hi), &v| (lo.min(v), hi.max(v)));
    (largest, largest / (range.1 - range.0))
}

/// Asserts that `found` is within `tolerance` of `expected`, relative to the range of `expected`.
#[track_caller]
pub fn assert_close(name: &str, found: &Tensor, expected: &Tensor, tolerance: f32) {
    let (absolute, relative) = difference(found, expected);
    println!("{name:40} largest difference {absolute:.2e}, {relative:.2e} of the range");
    assert!(relative <= tolerance, "{name}: {relative:.3e} of the range, allowed {tolerance:.0e}");
}

/// CLIP tensors under transformers' names.
pub fn hugging_face(tensors: &HashMap<String, Tensor>) -> HashMap<String, Tensor> {
    let mut out = HashMap::new();
    for (name, tensor) in tensors {
        let (model, inner) = match name.strip_prefix("visual.") {
            Some(rest) => ("vision_model", rest),
            None => ("text_model", name.as_str()),
        };
        let inner = inner
            .replace("ln_pre", "pre_layrnorm")
            .replace("ln_post", "post_layernorm")
            .replace("ln_final", "final_layer_norm")
            .replace("transformer.resblocks", "encoder.layers")
            .replace("ln_1", "layer_norm1")
            .replace("ln_2", "layer_norm2")
            .replace("attn.out_proj", "self_attn.out_proj")
            .replace("mlp.c_fc", "mlp.fc1")
            .replace("mlp.c_proj", "mlp.fc2")
            .replace("class_embedding", "embeddings.class_embedding")
            .replace("conv1.weight", "embeddings.patch_embedding.weight")
            .replace("token_embedding", "embeddings.token_embedding")
            .replace("positional_embedding", "embeddings.position_embedding.weight");
        if let Some((block, kind)) = inner.split_once("attn.in_proj_") {
            for (part, values) in ["q", "k", "v"].into_iter().zip(tensor.chunk(3, 0).unwrap()) {
                out.insert(
                    format!("{model}.{block}self_attn.{part}_proj.{kind}"),
                    values.contiguous().unwrap(),
                );
            }
        } else if name == "visual.proj" {
            out.insert("visual_projection.weight".into(), tensor.t().unwrap().contiguous().unwrap());
        } else if name == "text_projection" {
            out.insert("text_projection.weight".into(), tensor.t().unwrap().contiguous().unwrap());
        } else {
            out.insert(format!("{model}.{inner}"), tensor.clone());
        }
    }
    let ids = Tensor::arange(0i64, 77, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    out.insert("text_model.embeddings.position_ids".into(), ids);
    out
}

/// Maps in memory with their truths.
pub struct Stack {
    pub maps: Vec<Vec<f32>>,
    pub truths: Vec<aaclip::metrics::Truth>,
}

impl aaclip::metrics::Maps for Stack {
    fn len(&self) -> usize {
        self.maps.len()
    }

    fn truth(&self, index: usize) -> &aaclip::metrics::Truth {
        &self.truths[index]
    }

    fn read(&self, index: usize, values: &mut Vec<f32>) -> aaclip::Result<()> {
        values.clone_from(&self.maps[index]);
        Ok(())
    }
}
