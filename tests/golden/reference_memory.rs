//! The memory of good parts: AnomalyDINO's official code with CLIP's patches.

use aaclip::clip::{Activation, Checkpoint, Compute, Normalisation};
use aaclip::image::{Chain, DecodeOptions, Fit, Picture, Preprocess, decode};
use aaclip::methods::reference::{first_component, highest_hundredth, mask, patches, rotated};
use aaclip::{Detector, References};
use candle_core::{Device, Tensor};
use serde_json::Value;

use crate::support::{self, assert_close, golden_model, tensors};

fn file(name: &Value) -> std::path::PathBuf {
    support::golden().join("data/mvtec_mini").join(name.as_str().unwrap())
}

fn picture(name: &str) -> Picture {
    decode(&file(&name.into()), &DecodeOptions::default()).unwrap()
}

/// Asserts equality of the part of the values that is stored.
#[track_caller]
fn check(name: &str, found: &Tensor, expected: &Tensor, tolerance: f32) {
    let found = found.narrow(0, 0, expected.dim(0).unwrap()).unwrap();
    assert_close(name, &found.reshape(expected.shape()).unwrap(), expected, tolerance);
}

#[test]
fn turned_pictures_are_opencvs() {
    let golden = tensors("reference_memory");
    let whole = picture("metal_nut/test/good/000.png");
    let mut checked = 0;
    for (name, expected) in &golden {
        let Some(angle) = name.strip_prefix("rotated.metal_nut.") else { continue };
        let degrees = angle.trim_start_matches("angle").parse().unwrap();
        let expected: Vec<u8> = expected.flatten_all().unwrap().to_vec1().unwrap();
        assert!(rotated(&whole, degrees).samples() == expected, "{name}");
        checked += 1;
    }
    assert_eq!(checked, 9);
}

#[test]
fn patches_keep_the_picture_s_proportions() {
    let golden = tensors("reference_memory");
    let checkpoint = Checkpoint::open(golden_model()).unwrap();
    let Normalisation { mean, std } = Normalisation::default();
    let patch = checkpoint.config().vision.patch_size;
    for (class, size) in [("bottle", 70), ("metal_nut", 70), ("metal_nut", 210)] {
        let preprocess =
            Preprocess { size, patch, mean, std, fit: Fit::Shorter, chain: Chain::RgbThenResize };
        let input = preprocess.run(&picture(&format!("{class}/test/broken/000.png"))).unwrap().tensor;
        let shape = input.dim();
        let input = Tensor::from_vec(input.into_raw_vec_and_offset().0, shape, &Device::Cpu).unwrap();
        let name = format!("features.{class}.{size}");
        if let Some(expected) = golden.get(&format!("{name}.image")) {
            assert_close(&name, &input, expected, 2e-6);
        }
        let tower = checkpoint.vision(size, Activation::Gelu, &Compute::default()).unwrap();
        let found = patches(&tower, &input.unsqueeze(0).unwrap()).unwrap();
        let stored = [format!("{name}.tokens"), format!("{name}.tokens_first8")];
        let expected = stored.iter().find_map(|name| golden.get(name)).unwrap();
        check(&name, &found, expected, 4e-5);
    }
}

#[test]
fn masks_of_plain_features() {
    let (golden, case) = (tensors("reference_memory"), support::case("reference_memory"));
    for (key, about) in case["mask_function"].as_object().unwrap() {
        let features = &golden[&format!("mask_function.{key}.features")];
        let scores = first_component(features).unwrap();
        let side = |i: usize| about["grid"][i].as_u64().unwrap() as usize;
        let found = mask(&scores, (side(0), side(1)), about["threshold"].as_f64().unwrap());
        let floats: Vec<f32> = scores.iter().map(|&v| v as f32).collect();
        let found_scores = Tensor::new(floats, &Device::Cpu).unwrap();
        assert_close(key, &found_scores, &golden[&format!("mask_function.{key}.first_pc")], 2e-4);
        assert_eq!(found, bits(&golden[&format!("mask_function.{key}.mask")]), "{key}");
    }
    for (count, expected) in case["top1p"].as_object().unwrap() {
        let values: Vec<f32> = golden[&format!("top1p.{count}")].to_vec1().unwrap();
        let found = f64::from(highest_hundredth(&values));
        assert!((found - expected.as_f64().unwrap()).abs() < 1e-6, "{count}");
    }
}

fn bits(mask: &Tensor) -> Vec<bool> {
    mask.flatten_all().unwrap().to_vec1::<u8>().unwrap().into_iter().map(|v| v != 0).collect()
}

/// Every run of the official code: distances of patches, scores of pictures and maps.
#[test]
fn all_runs_match() {
    let (golden, case) = (tensors("reference_memory"), support::case("reference_memory"));
    let runs = case["runs"].as_object().unwrap();
    for (name, run) in runs {
        let yes = |key: &str| run[key].as_bool().unwrap();
        let good = run["references"].as_array().unwrap().iter().map(file).collect();
        let mut builder = Detector::builder(golden_model().to_str().unwrap())
            .method("reference")
            .image_size(Some(run["resolution"].as_u64().unwrap() as usize))
            .option("neighbours", &run["knn_neighbors"])
            .references(References::files(good, DecodeOptions::default()));
        let l2 = run["knn_metric"] == "L2";
        if l2 {
            builder = builder.option("metric", "l2");
        }
        if yes("rotation") {
            builder = builder.option("rotations", 8);
        }
        if yes("masking") {
            builder = builder.option("background", &run["mask_threshold"]);
        }
        if yes("mask_ref_images") {
            builder = builder.option("background-of", "all");
        }
        let detector = builder.build().unwrap();
        let pictures = run["pictures"].as_array().unwrap();
        let (mut grids, mut scores, mut maps) = (Vec::new(), Vec::new(), Vec::new());
        for name in pictures {
            let picture = decode(&file(name), &DecodeOptions::default()).unwrap();
            let prepared = detector.preprocess().run(&picture).unwrap().tensor;
            let shape = prepared.dim();
            let input = Tensor::from_vec(prepared.into_raw_vec_and_offset().0, shape, &Device::Cpu).unwrap();
            let evidence = detector.class().look(&input.unsqueeze(0).unwrap()).unwrap();
            grids.push(tensor(&evidence.grids[0].values));
            let found = detector.detect(&picture).unwrap();
            assert_eq!(found.components.image, evidence.image);
            assert_eq!(found.map.dim(), (picture.height(), picture.width()));
            scores.push(evidence.image.unwrap());
            maps.push(tensor(&found.map));
        }
        let of = |part: &str| golden.get(&format!("{name}.{part}"));
        // faiss subtracts products in 32-bit floats: a picture that is its own reference is at a distance there.
        let tolerance = if l2 { 2e-2 } else { 1e-5 };
        let grids = Tensor::stack(&grids, 0).unwrap();
        check(name, &grids, of("patch_distance").unwrap(), tolerance);
        check(name, &Tensor::new(scores, &Device::Cpu).unwrap(), of("image_score").unwrap(), tolerance);
        if let Some(expected) = of("map") {
            check(name, &Tensor::stack(&maps[..2], 0).unwrap(), expected, 1e-5);
        }
        if l2 {
            let far = |values: &Tensor| values.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let pairs = far(&grids).into_iter().zip(far(of("patch_distance").unwrap()));
            let largest = pairs.filter(|(_, e)| *e > 0.1).map(|(f, e)| (f - e).abs()).fold(0.0, f32::max);
            assert!(largest < 1e-4, "{name}: {largest}");
        }
    }
    assert!(runs.len() >= 10);
}

fn tensor(values: &ndarray::Array2<f32>) -> Tensor {
    Tensor::from_iter(values.iter().copied(), &Device::Cpu).unwrap().reshape(values.dim()).unwrap()
}
