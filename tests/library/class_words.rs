//! The built-in model does not know names of things: no class text changes its scores.

use std::path::Path;

use aaclip::anchors::{ANYTHING, AnchorCache, ClassName, Domain, PromptSet};
use aaclip::clip::Checkpoint;
use aaclip::image::{DecodeOptions, decode};
use aaclip::methods::{METHODS, References, Scope, Setup, sdp};
use aaclip::{Detector, Detectors, Method};
use proptest::prelude::*;

use crate::support;

/// One class text a line; blank lines are texts too.
const TEXTS: &str = include_str!("../data/class-texts.txt");

fn named(text: &str) -> ClassName {
    ClassName { text: text.to_owned(), domain: None }
}

/// The built-in model with a method. A small square, for 200 pictures' sake.
fn builtin(method: &str, cache: &Path) -> Detectors {
    let builder = Detector::builder("builtin").method(method).image_size(Some(96));
    builder.cache(AnchorCache::at(cache)).open().unwrap()
}

/// The bits of a detector's score and map for a picture.
fn bits(detector: &Detector) -> Vec<u32> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/washer.png");
    let found = detector.detect(&decode(&path, &DecodeOptions::default()).unwrap()).unwrap();
    std::iter::once(&found.score).chain(&found.map).map(|v| v.to_bits()).collect()
}

#[test]
fn the_list_of_class_texts_has_all_shipped_descriptions() {
    let texts: Vec<&str> = TEXTS.lines().collect();
    assert_eq!(texts.len(), 200);
    let shipped = PromptSet::load("aa-clip").unwrap();
    for text in shipped.datasets.values().flat_map(|d| d.classes.values()) {
        assert!(texts.contains(&text.as_str()), "{text}");
    }
}

#[test]
fn no_class_text_changes_a_bit_of_the_built_in_model() {
    let cache = tempfile::tempdir().unwrap();
    let detectors = builtin("aa-clip", cache.path());
    let expected = bits(&detectors.detector(&named(ANYTHING)).unwrap());
    for text in TEXTS.lines() {
        let detector = detectors.detector(&detectors.describe(text, None).unwrap()).unwrap();
        assert!(bits(&detector) == expected, "{text:?}");
        assert_eq!(detector.class().caution(), None);
    }
    assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 1, "anchors of one text");
}

#[test]
fn this_is_so_with_every_method() {
    let cache = tempfile::tempdir().unwrap();
    let without_pictures = |m: &&&Method| m.references != References::Needed && m.scope == Scope::Picture;
    for method in METHODS.iter().filter(without_pictures).filter(|m| m.name != "sdp-plus") {
        let detectors = builtin(method.name, cache.path());
        let of = |text: &str| bits(&detectors.detector(&named(text)).unwrap());
        assert!(of("bottle with cap") == of(ANYTHING), "{}", method.name);
    }
    let adapters = Path::new(env!("CARGO_MANIFEST_DIR")).join("weights/builtin/adapters.safetensors");
    let own = Detector::builder("builtin").checkpoint(adapters).image_size(Some(96));
    let of = |text: &str| bits(&own.clone().class(text).build().unwrap());
    assert!(of("bottle with cap") == of(ANYTHING), "--adapters");
}

#[test]
fn the_domain_of_a_described_class_remains() {
    let setup = Setup::new(&sdp::METHOD, Checkpoint::builtin().unwrap());
    let brain = setup.prompts().unwrap().describe("brain:Brain", None).unwrap();
    assert_eq!(brain.text, "scan");
    assert_eq!(setup.named(&brain), ClassName { text: ANYTHING.to_owned(), domain: Some(Domain::Medical) });
}

/// A class text reaches the anchors through [`Setup::named`] alone.
#[test]
fn random_phrases_are_replaced_for_the_built_in_model_only() {
    let of = |clip| Setup::new(&sdp::METHOD, clip);
    let builtin = of(Checkpoint::builtin().unwrap());
    let other = of(Checkpoint::open(support::tiny_model()).unwrap());
    let phrase = prop_oneof![
        "\\PC{0,80}",
        proptest::collection::vec(prop::sample::select(TEXTS.lines().collect::<Vec<_>>()), 1..6)
            .prop_map(|texts| texts.join(" ")),
    ];
    proptest!(ProptestConfig::with_cases(2000), |(text in phrase)| {
        prop_assert_eq!(builtin.named(&named(&text)), named(ANYTHING));
        prop_assert_eq!(other.named(&named(&text)), named(&text));
    });
}

/// With any other model the class text counts, and a caution changes nothing.
#[test]
fn other_models_use_the_class_text() {
    let cache = tempfile::tempdir().unwrap();
    let model = support::tiny_model().to_str().unwrap();
    let detectors = Detector::builder(model).cache(AnchorCache::at(cache.path())).open().unwrap();
    let texts: Vec<&str> = TEXTS.lines().step_by(20).collect();
    let mut cautions = 0;
    for text in &texts {
        let detector = detectors.detector(&named(text)).unwrap();
        let alone = Detector::builder(model).cache(AnchorCache::disabled()).class(text).build().unwrap();
        assert_eq!(detector.class().caution(), alone.class().caution());
        assert!(bits(&detector) == bits(&alone), "{text:?}");
        if let Some(caution) = detector.class().caution() {
            assert!(caution.contains(text), "{caution}");
            cautions += 1;
        }
    }
    assert!(cautions > 0, "random weights bring some anchors together");
    assert_eq!(detectors.detector(&named(ANYTHING)).unwrap().class().caution(), None);
}
