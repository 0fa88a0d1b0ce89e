use std::collections::HashMap;
use std::path::Path;

use aaclip::Detectors;
use aaclip::clip::{Activation, Checkpoint, ClipConfig, Compute, SpecialTokens, parameters};
use aaclip::image::{Picture, PixelMode};
use aaclip::methods::{Setup, sdp};
use candle_core::{Device, Tensor};

use super::scratch;

/// Numbers of a model that is built and run.
const MOST_WEIGHTS: usize = 1 << 16;

/// A model's configuration; one that is accepted gets weights, and the model is run.
pub fn model(data: &[u8]) {
    let path = scratch::file("model/config.json", data);
    let Ok(config) = ClipConfig::from_file(&path) else { return };
    let parameters = parameters(&config);
    let size = |shape: &[usize]| shape.iter().try_fold(1usize, |n, &s| n.checked_mul(s));
    let total = parameters.iter().try_fold(0usize, |n, p| n.checked_add(size(&p.shape)?));
    let pixels = config.vision.image_size <= 64 && config.vision.grid(config.vision.image_size) <= 16;
    if !pixels || total.is_none_or(|n| n > MOST_WEIGHTS) {
        return;
    }
    scratch::file("model/tokenizer.json", TOKENIZER);
    run(open(path.parent().unwrap_or(&path), &config));
}

/// Puts weights beside a configuration and opens the folder.
pub fn open(folder: &Path, config: &ClipConfig) -> Checkpoint {
    let mut tensors = HashMap::new();
    for (k, p) in parameters(config).iter().enumerate() {
        let count: usize = p.shape.iter().product();
        let values: Vec<f32> = (0..count).map(|i| ((37 * i + 11 * k) % 101) as f32 / 64.0 - 0.75).collect();
        let tensor = Tensor::from_vec(values, &p.shape[..], &Device::Cpu).expect("as many values");
        tensors.insert(p.name.clone(), tensor);
    }
    candle_core::safetensors::save(&tensors, folder.join("model.safetensors")).expect("a scratch file");
    Checkpoint::open(folder).expect("weights as the configuration asks for them")
}

/// Both towers.
fn run(checkpoint: Checkpoint) {
    let sentences = checkpoint.tokenizer(SpecialTokens::AaClip).and_then(|tokenizer| {
        let sentences = ["a b", "", "b b b b b b"].map(|s| tokenizer.encode(s));
        Ok(sentences.into_iter().collect::<Result<Vec<_>, _>>()?)
    });
    let sentences = sentences.expect("a tokenizer");
    let text = checkpoint.text(Activation::Gelu, &Compute::default()).expect("a text tower");
    let _ = text.embed(&sentences);

    let setup = Setup::new(&sdp::METHOD, checkpoint);
    let detectors = Detectors::new("model".to_owned(), setup, None).expect("a model");
    // Weights from a formula may give sentences no direction.
    let Ok(detector) = detectors.describe("a", None).and_then(|class| detectors.detector(&class)) else {
        return;
    };
    let picture = Picture::new(3, 2, PixelMode::Gray, vec![0, 50, 100, 150, 200, 250]).expect("6 samples");
    if let Ok(found) = detector.detect(&picture) {
        assert!((0.0..=1.0).contains(&found.score), "score {}", found.score);
    }
}

/// Words `a` and `b`, and the frame of every sentence.
const TOKENIZER: &[u8] = include_bytes!("../seeds/tokenizer_json/words.json");
