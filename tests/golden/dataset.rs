//! The mini data set, read in its three forms, against the result of the official code.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use aaclip::dataset::{Dataset, Label, Layout, Mask};
use aaclip::image::{Chain, DecodeOptions, Picture, PixelMode};

use crate::preprocess::preprocess;
use crate::support::{self, case, tensors};

#[test]
fn the_mini_data_set_is_read_alike_in_all_forms() {
    let (golden, case) = (tensors("data"), case("data"));
    let root = support::golden().join("data/mvtec_mini");
    let tree = Dataset::open(&root, None).unwrap();
    assert_eq!((tree.layout, tree.classes()), (Layout::MvtecAd, vec!["bottle", "metal_nut"]));
    for file in ["meta.json", "full-shot.jsonl"] {
        let listed = Dataset::open(&root.join(file), None).unwrap();
        assert_eq!((&listed.samples, &listed.problems), (&tree.samples, &vec![]), "{file}");
    }
    let brain = Dataset::open(&root.join("brain-full-shot.jsonl"), None).unwrap();
    assert_eq!((brain.classes(), brain.samples.len()), (vec!["Brain"], 6));

    let size = case["image_size"].as_u64().unwrap() as usize;
    let samples: HashMap<&str, _> = tree.samples.iter().map(|s| (s.name.as_str(), s)).collect();
    let files = case["files"].as_array().unwrap();
    assert_eq!(samples.len(), files.len());
    let labels: Vec<f32> = golden["labels"].to_dtype(candle_core::DType::F32).unwrap().to_vec1().unwrap();
    for (i, file) in files.iter().enumerate() {
        let sample = samples[file.as_str().unwrap()];
        assert_eq!(sample.label == Label::Anomalous, labels[i] == 1.0, "{file}");
        let mask = match &sample.mask {
            Mask::None => Picture::new(1, 1, PixelMode::Gray, vec![0]).unwrap(),
            Mask::File(path) => {
                assert_eq!(path, &root.join(case["mask_files"][i].as_str().unwrap()));
                let read = sample.read_mask(&DecodeOptions::default()).unwrap().unwrap();
                assert_eq!(read.problems, []);
                read.mask
            }
            Mask::Files(_) | Mask::Unlabelled => panic!("{file} has a mask"),
        };
        for (key, chain) in [("masks.aaclip", Chain::RgbThenResize), ("masks.clipad", Chain::ResizeThenRgb)] {
            let found = preprocess(size, chain).mask(&mask).unwrap();
            let expected: Vec<f32> = golden[key].get(i).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            assert!(found.iter().zip(&expected).all(|(&f, &e)| f == (e == 1.0)), "{file} {key}");
            assert_eq!(found.len(), expected.len());
        }
    }
}

#[test]
fn real_pictures_and_their_masks_are_found() {
    let Some(root) = support::mvtec() else { return };
    let data = Dataset::open(&root, None).unwrap();
    assert_eq!((data.layout, data.classes().len(), data.samples.len()), (Layout::MvtecAd, 15, 180));
    assert_eq!(data.samples.iter().filter(|s| matches!(s.mask, Mask::File(_))).count(), 136);
    assert_eq!(data.problems, []);
    let seen = AtomicUsize::new(0);
    let count = || {
        seen.fetch_add(1, Ordering::Relaxed);
    };
    assert_eq!(data.check(&Default::default(), count), []);
    assert_eq!(seen.into_inner(), 180);
}
