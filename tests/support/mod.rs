//! What several test binaries share.
#![allow(dead_code)]

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use candle_core::{DType, Device, Tensor};
use serde_json::Value;

/// The folder of golden cases: `AACLIP_GOLDEN`, else the compact set of the repository, unpacked.
pub fn golden() -> &'static Path {
    static GOLDEN: OnceLock<PathBuf> = OnceLock::new();
    GOLDEN.get_or_init(|| match std::env::var_os("AACLIP_GOLDEN").map(PathBuf::from) {
        Some(dir) => {
            assert!(dir.is_dir(), "AACLIP_GOLDEN is {}, which is not a folder", dir.display());
            std::path::absolute(dir).unwrap()
        }
        None => {
            let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden");
            let files = files_below(&packed);
            let contents: Vec<Vec<u8>> =
                files.iter().map(|f| std::fs::read(packed.join(f)).unwrap()).collect();
            made_once("golden", (&files, &contents), |dir| {
                files.iter().zip(&contents).for_each(|(file, content)| unpack(content, &dir.join(file)));
            })
        }
    })
}

/// The files below a folder, relative to it, in order.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for path in std::fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path.strip_prefix(folder).unwrap().to_owned());
            }
        }
    }
    files.sort();
    files
}

/// Writes a file of the compact set: `NAME.gz` becomes `NAME`.
fn unpack(content: &[u8], file: &Path) {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    if file.extension().is_some_and(|e| e == "gz") {
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(content).read_to_end(&mut unpacked).unwrap();
        std::fs::write(file.with_extension(""), unpacked).unwrap();
    } else {
        std::fs::write(file, content).unwrap();
    }
}

/// The folder of real pictures: `AACLIP_MVTEC`, else `../shared/mvtec` beside the repository.
pub fn mvtec() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/mvtec");
    let dir = std::env::var_os("AACLIP_MVTEC").map_or_else(beside, PathBuf::from);
    if dir.is_dir() {
        return Some(dir);
    }
    skip(&format!("{} does not exist; set AACLIP_MVTEC to run this test", dir.display()));
    None
}

/// Says that a test, or the rest of it, cannot run here, and why; `.ci/run` counts these lines.
pub fn skip(why: &str) {
    let thread = std::thread::current();
    let line = format!("SKIPPED {}: {why}\n", thread.name().unwrap_or("a test"));
    // Written to the stream itself: the test harness withholds the output of `eprintln`.
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    if let Some(list) = std::env::var_os("AACLIP_SKIPPED") {
        let mut list = std::fs::OpenOptions::new().append(true).create(true).open(list).unwrap();
        list.write_all(line.as_bytes()).unwrap();
    }
}

/// The tensors of one golden case.
pub fn tensors(case: &str) -> HashMap<String, Tensor> {
    let path = golden().join(case).join("tensors.safetensors");
    candle_core::safetensors::load(&path, &Device::Cpu).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// `case.json` of one golden case.
pub fn case(case: &str) -> Value {
    json(&golden().join(case).join("case.json"))
}

fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Settings that the golden cases share: levels, adapted blocks, and the like.
pub fn golden_settings() -> Value {
    json(&golden().join("index.json"))["settings"].take()
}

/// A list of numbers in a golden case or its settings.
pub fn numbers(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect()
}

/// The levels of the golden cases.
pub fn golden_levels() -> Vec<usize> {
    numbers(&golden_settings()["levels"])
}

/// A folder with the golden model: its configuration and weights, the token embedding made from its formula.
pub fn golden_model() -> &'static Path {
    static MODEL: OnceLock<PathBuf> = OnceLock::new();
    MODEL.get_or_init(|| {
        let weights = golden().join("weights");
        made_once("golden-model", golden(), |dir| build_golden_model(&weights, dir))
    })
}

/// A folder with a CLIP model of our own, as small as the vocabulary allows: formula weights, nothing it says
/// about a picture means anything.
pub fn tiny_model() -> &'static Path {
    static MODEL: OnceLock<PathBuf> = OnceLock::new();
    MODEL.get_or_init(|| {
        made_once("tiny-model", TINY_CONFIG, |dir| {
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
    formula_tensors(TINY_CONFIG)
}

/// The tensors of a configuration, under open_clip's names.
pub fn formula_tensors(config: &str) -> HashMap<String, Tensor> {
    let text = config;
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("open_clip_config.json");
    std::fs::write(&config, text).unwrap();
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

/// A folder that `build` fills once for this content; several test programs may want it at the same time.
fn made_once(name: &str, content: impl Hash, build: impl FnOnce(&Path)) -> PathBuf {
    let mut hash = DefaultHasher::new();
    (content, include_str!("mod.rs")).hash(&mut hash);
    let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = root.join(format!("{name}-{:016x}", hash.finish()));
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
    let about = json(&weights.join("weights.json"));
    let formula = &about["token_embedding_weight"];
    let [rows, columns] = numbers(&formula["shape"])[..] else { panic!("{formula}") };
    let add = formula["add"].as_u64().unwrap() as u32;
    let values: Vec<f32> = (0..(rows * columns) as u32).map(|i| hashed(i.wrapping_add(add))).collect();
    let mut tensors = full_precision(&weights.join("clip_f16.safetensors"));
    tensors.insert(
        "token_embedding.weight".into(),
        Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap(),
    );
    candle_core::safetensors::save(&tensors, dir.join("open_clip_model.safetensors")).unwrap();
    std::fs::copy(weights.join("model_config.json"), dir.join("open_clip_config.json")).unwrap();
}

/// The tensors of a file of f16 values, as f32.
pub fn full_precision(path: &Path) -> HashMap<String, Tensor> {
    let tensors = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    tensors.into_iter().map(|(name, t)| (name, t.to_dtype(DType::F32).unwrap())).collect()
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

/// A map of patches `[1, L]`, up-sampled to `[size, size]`.
pub fn upsampled(values: &Tensor, size: usize, alignment: aaclip::map::Alignment) -> ndarray::Array2<f32> {
    let row: Vec<f32> = values.flatten_all().unwrap().to_vec1().unwrap();
    let side = row.len().isqrt();
    let grid = ndarray::Array2::from_shape_vec((side, side), row).unwrap();
    aaclip::map::bilinear(grid.view(), (size, size), alignment)
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
