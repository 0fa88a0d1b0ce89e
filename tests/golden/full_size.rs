//! Towers of published shapes against PyTorch; see `tests/reference/full_size.py`, which makes the data.

use std::path::PathBuf;
use std::time::Instant;

use aaclip::clip::{Activation, Checkpoint, Compute, SpecialTokens};
use aaclip::methods::quarters;
use aaclip::methods::sdp::{Fidelity, dual_path};
use candle_core::{D, Device};

use crate::support::{assert_close, skip};

#[test]
fn towers_of_full_size_match_pytorch() {
    let Some(dir) = std::env::var_os("AACLIP_FULL_SIZE").map(PathBuf::from) else {
        skip("set AACLIP_FULL_SIZE to a folder made by tests/reference/full_size.py");
        return;
    };
    let data = dir.join("expected.safetensors.data");
    let expected = candle_core::safetensors::load(data, &Device::Cpu).unwrap();
    let started = Instant::now();
    let checkpoint = Checkpoint::open(&dir).unwrap();
    let images = &expected["images"];
    let vision =
        checkpoint.vision(images.dim(D::Minus1).unwrap(), Activation::Gelu, &Compute::default()).unwrap();
    println!("loading the image tower took {:.2?}", started.elapsed());
    let levels = quarters(checkpoint.config().vision.layers);

    let started = Instant::now();
    let (pooled, tokens) = vision.forward(images, &levels).unwrap();
    println!("the ordinary tower took {:.2?}", started.elapsed());
    assert_close("pooled", &pooled, &expected["pooled"], 1e-3);
    for (level, tokens) in levels.iter().zip(&tokens) {
        let name = format!("tokens.level{level}");
        assert_close(&name, tokens, &expected[&name], 1e-3);
    }
    let started = Instant::now();
    let features = dual_path(&vision, images, &levels, Fidelity::Reference).unwrap();
    println!("the dual path took {:.2?}", started.elapsed());
    for feature in &features {
        let name = |path: &str| format!("{path}.level{}", feature.level);
        assert_close(&name("original"), &feature.original, &expected[&name("original")], 1e-3);
        assert_close(&name("surgery"), feature.surgery.as_ref().unwrap(), &expected[&name("surgery")], 1e-3);
    }
    let sentences: Vec<String> =
        serde_json::from_str(&std::fs::read_to_string(dir.join("sentences.json")).unwrap()).unwrap();
    let tokenizer = checkpoint.tokenizer(SpecialTokens::ClipAd).unwrap();
    let sentences: Vec<_> = sentences.iter().map(|s| tokenizer.encode(s).unwrap()).collect();
    let text = checkpoint.text(Activation::Gelu, &Compute::default()).unwrap();
    assert_close("text", &text.embed(&sentences).unwrap(), &expected["text"], 1e-3);
}
