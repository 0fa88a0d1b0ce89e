use std::path::Path;

use aaclip::anchors::{Polarity, PromptSet};
use aaclip::calibration::ThresholdFile;
use aaclip::dataset::{Dataset, Layout};
use aaclip::evaluation::{Manifest, Store};
use aaclip::models::Registry;
use aaclip::{Components, Provenance, evaluation::PictureResult};

use super::scratch;

/// A prompt file: an accepted one makes sentences and survives being written.
pub fn prompts(data: &[u8]) {
    let path = scratch::file("prompts.toml", data);
    let Some(path) = path.to_str() else { return };
    let Ok(set) = PromptSet::load(path) else { return };
    for polarity in [Polarity::Normal, Polarity::Abnormal] {
        assert!(!set.sentences(polarity, "part {}").is_empty());
    }
    let _ = (set.describe("mvtec:bottle", None), set.describe("x", Some("y")), set.digest());
    scratch::file("prompts.toml", set.to_toml().as_bytes());
    assert_eq!(PromptSet::load(path).expect("a file this program wrote"), set);
}

/// A registry of models.
pub fn registry(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(registry) = Registry::parse(Path::new("registry.toml"), text) else { return };
    for entry in registry.entries() {
        assert!(registry.find(&entry.name).is_ok());
        assert!(entry.repo.matches('/').count() == 1 && !entry.repo.contains(".."));
    }
}

/// A file of thresholds.
pub fn threshold(data: &[u8]) {
    let path = scratch::file("threshold.json", data);
    let Ok(file) = ThresholdFile::read(&path) else { return };
    let _ = file.of(&path, &file.settings, "object");
    for class in file.classes.keys() {
        assert!(file.of(&path, &file.settings, class).expect("its own class").threshold.is_finite());
    }
    let _ = file.of(&path, &Provenance::default(), "object");
}

/// The results of an interrupted evaluation.
pub fn results(data: &[u8]) {
    let manifest = || Manifest::new("data".to_owned(), "model".to_owned(), 2, Provenance::default());
    let folder = scratch::path("results");
    let _ = std::fs::remove_dir_all(&folder);
    drop(Store::open(&folder, manifest(), false).expect("a new folder"));
    scratch::file("results/results.jsonl", data);
    scratch::file("results/maps.f32", &[0; 64]);
    let Ok(mut store) = Store::open(&folder, manifest(), false) else { return };
    let components = Components { image: None, map_min: 0.0, map_max: 0.0, map_mean: 0.0 };
    let (name, class, kind) = ("n".to_owned(), "c".to_owned(), "k".to_owned());
    let result =
        PictureResult { name, class, kind, components, anomalous: false, score: 0.5, map: 0, file: None };
    store.add(result, ndarray::Array2::zeros((2, 2)).view()).expect("a scratch folder");
    drop(store);
    let store = Store::open(&folder, manifest(), false).expect("a folder this program wrote");
    assert!(store.get("n").is_some());
}

/// Files that list labelled pictures: the first byte says which kind.
pub fn metadata(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let (name, layout) = match kind % 4 {
        0 => ("list.jsonl", Layout::JsonLines),
        1 => ("meta.json", Layout::MetaJson),
        2 => ("split_csv/1cls.csv", Layout::VisaSplit),
        _ => ("labels.csv", Layout::HeadCt),
    };
    let root = scratch::path("data/x");
    let root = root.parent().unwrap_or(&root);
    let _ = std::fs::remove_dir_all(root);
    scratch::file(&format!("data/{name}"), rest);
    let opened = match kind % 4 {
        0 | 1 => Dataset::open(&root.join(name), Some(layout)),
        _ => Dataset::open(root, Some(layout)),
    };
    if let Ok(mut data) = opened {
        for sample in &data.samples {
            assert!(sample.path.starts_with(root), "{}", sample.path.display());
        }
        data.limit(1);
    }
}
