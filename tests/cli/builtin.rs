//! The built-in model.

use std::path::Path;

use crate::{Workplace, support};

#[test]
fn a_fresh_machine_detects_without_a_model() {
    let here = Workplace::new();
    here.picture("a.png", 90, 60);
    let record = here.run(&["detect", "a.png", "--format", "json", "--out", "out"]).ok().json();
    assert_eq!((&record["model"], &record["method"]), (&"builtin".into(), &"aa-clip".into()));
    assert_eq!(image::image_dimensions(here.path("out/a.png.heatmap.png")).unwrap(), (90, 60));
    // By its name, with another method, and with anchors from the cache.
    let score = |arguments: &[&str]| {
        let all = [&["detect", "a.png", "--format", "json", "--model", "builtin"], arguments].concat();
        here.run(&all).ok().json()["score"].as_f64().unwrap()
    };
    assert_eq!(score(&[]), record["score"].as_f64().unwrap());
    assert_ne!(score(&["--method", "sdp"]), score(&[]));
    insta::assert_snapshot!("models", here.run(&["models", "list"]).ok().stdout);
}

#[test]
fn the_package_stays_small() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("weights/builtin");
    let sizes = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().metadata().unwrap().len());
    let total: u64 = sizes.sum();
    assert!(total < 9_000_000, "{total} bytes");
}

/// What `weights/builtin/RECIPE.md` measured, with room for another machine's arithmetic.
#[test]
fn it_finds_defects_it_has_never_seen() {
    let Some(mvtec) = support::mvtec() else { return };
    let here = Workplace::new();
    let run =
        ["eval", mvtec.to_str().unwrap(), "--model", "builtin", "--class", "object", "--format", "json"];
    let table = here.run(&run).ok().json();
    let of = |key: &str| table["mean"][key].as_f64().unwrap();
    println!("image AUROC {:.3}, pixel AUROC {:.3}", of("image_auroc"), of("pixel_auroc"));
    assert!(of("image_auroc") > FLOOR.0 && of("pixel_auroc") > FLOOR.1, "{}", table["mean"]);
}

/// Mean image and pixel AUROC on the test pictures.
const FLOOR: (f64, f64) = (0.80, 0.90);

#[test]
fn the_class_is_a_label_of_the_built_in_model() {
    let here = Workplace::new();
    here.picture("a.png", 90, 60);
    let run = |class: &str| {
        let ran = here.run(&["detect", "a.png", "--model", "builtin", "--format", "json", "--class", class]);
        let ran = ran.ok();
        assert_eq!(ran.stderr, "", "{class}");
        ran.json()
    };
    let (plain, capped) = (run("object"), run("bottle with cap"));
    assert_eq!((&plain["class"], &capped["class"]), (&"object".into(), &"bottle with cap".into()));
    for key in ["score", "components", "regions", "warning"] {
        assert_eq!(plain[key], capped[key], "{key}");
    }
    assert_eq!(run("mvtec:bottle")["class"], "dark bottle");
    // Of a medical data set only the domain counts: the score is the map's alone.
    let medical = run("brain:Brain");
    assert_eq!(
        (&medical["class"], &medical["components"]["image"]),
        (&"scan".into(), &plain["components"]["image"])
    );
    assert_ne!(medical["score"], plain["score"]);
}

#[test]
fn other_models_warn_of_class_texts_that_blur_the_anchors() {
    let here = Workplace::new();
    here.picture("a.png", 40, 40);
    here.picture("b.png", 40, 40);
    let model = support::tiny_model().to_str().unwrap();
    let cache = aaclip::anchors::AnchorCache::disabled();
    let detectors = aaclip::Detector::builder(model).cache(cache).open().unwrap();
    let has_caution = |text: &&str| {
        let class = detectors.describe(text, None).unwrap();
        detectors.detector(&class).unwrap().class().caution().is_some()
    };
    let texts = include_str!("../data/class-texts.txt");
    let class = texts.lines().filter(|text| !text.trim().is_empty()).find(has_caution).unwrap();
    let run = |more: &[&str]| {
        here.run(&[&["detect", "a.png", "b.png", "--model", model, "--class", class][..], more].concat()).ok()
    };
    let ran = run(&["--format", "jsonl"]);
    let warning =
        format!("aaclip: warning: with the class text `{class}` the normal and the damaged anchor are ");
    assert!(ran.stderr.starts_with(&warning) && ran.stderr.lines().count() == 1, "{}", ran.stderr);
    for line in ran.stdout.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let said = format!("aaclip: warning: {}\n", record["warning"].as_str().unwrap());
        assert_eq!(said, ran.stderr);
    }
    let csv = run(&["--format", "csv", "--quiet"]);
    assert_eq!(csv.stderr, "");
    assert!(csv.stdout.lines().next().unwrap().ends_with("error.message,warning,stretched"));
    assert_eq!(csv.stdout.matches("choose a plain name").count(), 2, "{}", csv.stdout);
    // The class-free text needs no comparison.
    let plain = here.run(&["detect", "a.png", "--model", model, "--format", "json"]).ok();
    assert!(plain.stderr.is_empty() && plain.json()["warning"].is_null());
}
