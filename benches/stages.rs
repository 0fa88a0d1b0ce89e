//! Where the time of a picture goes: `cargo bench --bench stages`.
//!
//! The towers have the shape of ViT-B-16-plus-240 and formula weights, which say nothing about a picture but cost
//! the cost of real ones.

use std::collections::HashMap;
use std::hint::black_box;
use std::path::Path;

use aaclip::Detector;
use aaclip::anchors::AnchorCache;
use aaclip::clip::{Activation, Checkpoint, Compute, Normalisation, SpecialTokens, Tokenizer, parameters};
use aaclip::image::{Chain, Fit, Picture, PixelMode, Preprocess};
use aaclip::map::{Alignment, Sigma, bilinear, gaussian, regions};
use aaclip::methods::sdp::{Fidelity, dual_path};
use aaclip::output::{ColourScale, heatmap, overlay};
use candle_core::{Device, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};
use image::RgbImage;
use ndarray::Array2;

/// As the binary: large tensors are allocated and freed block after block.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONFIG: &str = r#"{"embed_dim": 640,
    "vision_cfg": {"image_size": 240, "layers": 12, "width": 896, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 640, "heads": 10, "layers": 12}}"#;

fn noise(i: usize) -> u8 {
    (i.wrapping_mul(2_654_435_761) >> 13) as u8
}

fn preprocessing(c: &mut Criterion) {
    let Normalisation { mean, std } = Normalisation::default();
    for (name, width, height) in [("1024x1024", 1024, 1024), ("4000x3000", 4000, 3000)] {
        let samples = (0..width * height * 3).map(noise).collect();
        let picture = Picture::new(width, height, PixelMode::Rgb, samples).expect("sizes agree");
        for size in [240, 518] {
            let preprocess =
                Preprocess { size, patch: 14, mean, std, fit: Fit::Squash, chain: Chain::ResizeThenRgb };
            c.bench_function(&format!("preprocess {name} to {size}"), |b| {
                b.iter(|| preprocess.run(black_box(&picture)).expect("a picture"));
            });
        }
    }
}

fn tokenizing(c: &mut Criterion) {
    let tokenizer = Tokenizer::clip(77, SpecialTokens::ClipAd);
    c.bench_function("tokenize a prompt", |b| {
        b.iter(|| tokenizer.encode(black_box("a close-up photo of a metal_nut with contamination.")));
    });
}

fn model(dir: &Path) -> Checkpoint {
    std::fs::write(dir.join("open_clip_config.json"), CONFIG).expect("writable");
    let config = aaclip::clip::ClipConfig::from_dir(dir).expect("a configuration");
    let tensor = |p: &aaclip::weights::Parameter| {
        let count: usize = p.shape.iter().product();
        let scale = if p.shape.len() > 1 { 0.03 } else { 0.5 };
        let values: Vec<f32> = (0..count).map(|i| (f32::from(noise(i)) / 255.0 - 0.5) * scale).collect();
        (p.name.clone(), Tensor::from_vec(values, &p.shape[..], &Device::Cpu).expect("a tensor"))
    };
    let tensors: HashMap<String, Tensor> = parameters(&config).iter().map(tensor).collect();
    candle_core::safetensors::save(&tensors, dir.join("model.safetensors")).expect("writable");
    Checkpoint::open(dir).expect("a model")
}

fn towers(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a folder");
    let checkpoint = model(dir.path());
    let vision = checkpoint.vision(240, Activation::Gelu, &Compute::default()).expect("the image tower");
    let image = Tensor::randn(0f32, 1.0, (1, 3, 240, 240), &Device::Cpu).expect("an image");
    let mut group = c.benchmark_group("ViT-B-16-plus-240");
    group.sample_size(10);
    group.bench_function("ordinary path", |b| {
        b.iter(|| vision.forward(&image, &[3, 6, 9, 12]).expect("tokens"))
    });
    group.bench_function("dual path", |b| {
        b.iter(|| dual_path(&vision, &image, &[3, 6, 9, 12], Fidelity::Reference).expect("tokens"));
    });
    let text = checkpoint.text(Activation::Gelu, &Compute::default()).expect("the text tower");
    let tokenizer = Tokenizer::clip(77, SpecialTokens::ClipAd);
    let sentence = tokenizer.encode("a close-up photo of a metal_nut with contamination.").expect("tokens");
    let batch = vec![sentence; 64];
    group.bench_function("64 sentences", |b| b.iter(|| text.embed(&batch).expect("vectors")));
    group.finish();
}

/// Adapters of the reference's depth for the benchmark's model, with formula weights.
fn adapters(dir: &Path) -> std::path::PathBuf {
    let tensor = |shape: (usize, usize)| {
        let values: Vec<f32> =
            (0..shape.0 * shape.1).map(|i| (f32::from(noise(i)) / 255.0 - 0.5) * 0.05).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).expect("a tensor")
    };
    let mut all = HashMap::from([("image_adapter.det_proj.fc.weight".to_owned(), tensor((640, 896)))]);
    for i in 0..6 {
        all.insert(format!("image_adapter.layer_adapters.{i}.fc.0.weight"), tensor((896, 896)));
    }
    for i in 0..4 {
        all.insert(format!("image_adapter.seg_proj.{i}.fc.weight"), tensor((640, 896)));
    }
    let path = dir.join("adapters.safetensors");
    candle_core::safetensors::save(&all, &path).expect("writable");
    path
}

/// One picture from pixels to score. Each is one pass through the tower.
fn methods(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a folder");
    let model_dir = dir.path().join("model");
    std::fs::create_dir(&model_dir).expect("writable");
    model(&model_dir);
    let file = adapters(dir.path());
    // One sentence an anchor: their number says nothing about a picture's time.
    let prompts = dir.path().join("prompts.toml");
    std::fs::write(&prompts, PROMPTS).expect("writable");
    let samples = (0..640 * 480 * 3).map(noise).collect();
    let picture = Picture::new(640, 480, PixelMode::Rgb, samples).expect("sizes agree");
    let mut group = c.benchmark_group("methods");
    group.sample_size(10);
    for (name, trained) in [("sdp", false), ("aa-clip", true), ("aa-sdp", true)] {
        let builder = Detector::builder(model_dir.to_str().expect("a name in Unicode"))
            .method(name)
            .option("prompts", prompts.display())
            .cache(AnchorCache::disabled());
        let builder = if trained { builder.checkpoint(&file) } else { builder };
        let detector = builder.build().expect("a detector");
        group.bench_function(name, |b| b.iter(|| detector.detect(black_box(&picture)).expect("a detection")));
    }
    group.finish();
}

const PROMPTS: &str = r#"version = 1
name = "short"
description = "one sentence an anchor"
source = "this benchmark"
templates = ["a photo of a {}."]

[states]
normal = ["good {}"]
abnormal = ["damaged {}"]
"#;

fn postprocessing(c: &mut Criterion) {
    let grid = Array2::from_shape_fn((37, 37), |(y, x)| f32::from(noise(y * 37 + x)) / 255.0);
    let sigma = Sigma::new(8.0).expect("a width");
    c.bench_function("up-sample and smooth 37x37 to 518x518", |b| {
        b.iter(|| gaussian(bilinear(black_box(grid.view()), (518, 518), Alignment::HalfPixel).view(), sigma));
    });
    let large = bilinear(grid.view(), (1024, 1024), Alignment::HalfPixel);
    c.bench_function("regions of 1024x1024", |b| b.iter(|| regions(black_box(large.view()), 0.5)));
    c.bench_function("heatmap of 1024x1024", |b| {
        b.iter(|| heatmap(black_box(large.view()), ColourScale::default()))
    });
    let picture = RgbImage::from_pixel(1024, 1024, image::Rgb([90, 120, 40]));
    c.bench_function("overlay of 1024x1024", |b| {
        b.iter(|| overlay(black_box(&picture), large.view(), ColourScale::default()));
    });
}

criterion_group!(benches, preprocessing, tokenizing, towers, methods, postprocessing);
criterion_main!(benches);
