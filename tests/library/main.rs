//! The library as its users meet it: the example's functions, and the properties of every detection.

mod batch;
mod class_words;
mod dataset;
#[path = "../../examples/detect.rs"]
mod example;
mod gallery;
mod journal;
mod layers;
mod nearest;
mod page;
#[path = "../support/mod.rs"]
mod support;
mod tiles;
mod worker;

use std::path::PathBuf;

use aaclip::anchors::{Domain, Representative};
use aaclip::clip::{SpecialTokens, Tokenizer};
use aaclip::methods::aa_clip::decision;
use aaclip::methods::{sdp, sdp_plus};
use ndarray::{Array2, Axis, concatenate};
use proptest::prelude::*;

fn picture() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.png");
    let image = image::RgbImage::from_fn(50, 30, |x, y| image::Rgb([x as u8 * 5, y as u8 * 8, 90]));
    image.save(&path).unwrap();
    (dir, path)
}

#[test]
fn the_example_runs() {
    let (_dir, path) = picture();
    let model = support::tiny_model().to_str().unwrap();
    let found = example::detect(model, &path, "bottle").unwrap();
    assert_eq!(found.probabilities().dim(), (30, 50));
    assert!((0.0..=1.0).contains(&found.score));
    assert_eq!(example::detect(model, &path, "bottle").unwrap().score, found.score);
    let size = support::case("data")["image_size"].as_u64().unwrap() as usize;
    let adapters = support::golden().join("weights/aaclip_adapters.safetensors");
    let model = support::golden_model().to_str().unwrap();
    let found = example::detect_with(model, &adapters, &path, "bottle").unwrap();
    assert!(found.components.image.is_some() && found.map.dim() == (size, size));
}

/// Scores and probabilities grow with the reference's own values, and with nothing else.
#[test]
fn probabilities_and_scores_are_monotone() {
    proptest!(|(a in -50.0f32..50.0, b in -50.0f32..50.0, p in 0.0f32..1.0, q in 0.0f32..1.0, levels in 1usize..6)| {
        let (low, high) = (a.min(b), a.max(b));
        let (dim, bright) = (p.min(q), p.max(q));
        for probability in [sdp::probability, sdp_plus::probability, decision::probability] {
            let (x, y) = (probability(low, levels), probability(high, levels));
            prop_assert!((0.0..=1.0).contains(&x) && x <= y && y <= 1.0);
        }
        for score in [sdp::score, sdp_plus::score] {
            prop_assert!(score(dim, low, levels) <= score(bright, high, levels));
            prop_assert!((0.0..=1.0).contains(&score(dim, high, levels)));
        }
        for domain in [Domain::Industrial, Domain::Medical] {
            prop_assert!(decision::score(dim, low, levels, domain) <= decision::score(bright, high, levels, domain));
        }
    });
}

/// Real models have more coordinates than prompts, the golden cloud fewer: the other side of the PCA must agree.
/// Repeating all coordinates changes no angle between sentences, so the vector repeats as well.
#[test]
fn pca_of_more_coordinates_than_sentences() {
    let golden = support::tensors("clipad_rvs");
    let rows: Vec<Vec<f32>> = golden["embeddings.bottle.normal"].to_vec2().unwrap();
    let narrow = Array2::from_shape_fn((rows.len(), rows[0].len()), |(r, c)| rows[r][c]);
    let wide = concatenate(Axis(1), &[narrow.view(); 8]).unwrap();
    assert!(narrow.nrows() > narrow.ncols() && wide.nrows() < wide.ncols());
    let expected = Representative::Pca.vector(narrow.view()).unwrap();
    let found = Representative::Pca.vector(wide.view()).unwrap();
    for (i, value) in found.iter().enumerate() {
        assert!((value * 8f32.sqrt() - expected[i % expected.len()]).abs() < 1e-5);
    }
}

const WORDS: &str = r#"{
  "version": "1.0", "truncation": null, "padding": {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": null,
    "pad_id": 4, "pad_type_id": 0, "pad_token": "<end>"},
  "added_tokens": [], "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "decoder": null,
  "post_processor": {"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<start>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
               {"SpecialToken": {"id": "<end>", "type_id": 0}}],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {"<start>": {"id": "<start>", "ids": [3], "tokens": ["<start>"]},
                       "<end>": {"id": "<end>", "ids": [4], "tokens": ["<end>"]}}},
  "model": {"type": "WordLevel", "unk_token": "[unk]",
            "vocab": {"[unk]": 0, "a": 1, "photo": 2, "<start>": 3, "<end>": 4}}
}"#;

#[test]
fn a_model_folder_may_bring_its_own_tokenizer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokenizer.json");
    let load = || Tokenizer::for_model(dir.path(), 5, SpecialTokens::default());
    assert_eq!(load().unwrap().encode("a photo").unwrap().ids(), [49406, 320, 1125, 49407]);
    std::fs::write(&path, WORDS).unwrap();
    let tokens = load().unwrap().encode("A &amp; Photo").unwrap();
    assert_eq!((tokens.ids(), tokens.end()), (&[3, 1, 0, 2, 4][..], 4));
    let long = load().unwrap().encode("a photo a photo a photo").unwrap();
    assert_eq!(long.ids(), [3, 1, 2, 1, 4]);
    assert_eq!(long.padded(7).collect::<Vec<_>>(), [3, 1, 2, 1, 4, 0, 0]);
    assert_eq!(load().unwrap().encode("").unwrap().ids(), [3, 4]);
    let mut without_template: serde_json::Value = serde_json::from_str(WORDS).unwrap();
    without_template["post_processor"] = serde_json::Value::Null;
    let without_template = without_template.to_string();
    for (content, expected) in [("{", "tokenizer.json"), (&without_template, "no start and end token")] {
        std::fs::write(&path, content).unwrap();
        let error = load().err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
