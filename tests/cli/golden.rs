//! The official code's maps and scores, from picture files through the real binary.

use candle_core::Tensor;
use ndarray::Array2;

use crate::{Workplace, support};

/// The largest difference, relative to the range of the expected values.
fn difference(found: &[f32], expected: &Tensor) -> f32 {
    let expected: Vec<f32> = expected.flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(found.len(), expected.len());
    let (low, high) = expected.iter().fold((f32::MAX, f32::MIN), |(l, h), &v| (l.min(v), h.max(v)));
    found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / (high - low)
}

#[test]
fn maps_and_scores_of_the_mini_data_set() {
    let (golden, model) = (support::golden(), support::golden_model());
    let (expected, case) = (support::tensors("clipad_sdp"), support::case("data"));
    let files: Vec<&str> = case["files"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
    let here = Workplace::new();
    for (sigma, first, class) in
        [(8, 0, "bottle"), (8, 6, "metal_nut"), (2, 0, "bottle"), (2, 6, "metal_nut")]
    {
        let paths: Vec<String> = files[first..first + 6]
            .iter()
            .map(|f| golden.join("data/mvtec_mini").join(f).to_str().unwrap().to_owned())
            .collect();
        let out = format!("out-{sigma}-{class}");
        // Pictures of one class share file names, so the folder is given rather than the files.
        let folder = golden.join("data/mvtec_mini").join(class).join("test");
        let ran = here
            .run(&[
                "detect",
                folder.to_str().unwrap(),
                "--model",
                model.to_str().unwrap(),
                "--class",
                class,
                "--smoothing",
                &sigma.to_string(),
                "--save",
                "raw",
                "--out",
                &out,
                "--format",
                "jsonl",
            ])
            .ok();
        let records = ran.json_lines();
        assert_eq!(records.len(), 6);
        for (i, path) in paths.iter().enumerate() {
            let record = records.iter().find(|r| r["path"] == path.as_str()).expect("a record per picture");
            let raw: Array2<f32> =
                ndarray_npy::read_npy(here.path(record["files"]["raw"].as_str().unwrap())).unwrap();
            let of = |part: &str| &expected[&format!("test_py.sigma{sigma}.{part}")];
            let map = difference(raw.as_slice().unwrap(), &of("pr_px").get(first + i).unwrap());
            assert!(map < 1e-4, "{path}: {map}");
            for (component, part) in [("image", "pr_sp0"), ("map_max", "pr_sp1")] {
                let found = record["components"][component].as_f64().unwrap() as f32;
                let value = of(part).get(first + i).unwrap().to_scalar::<f32>().unwrap();
                assert!((found - value).abs() < 1e-5, "{path} {component}: {found} {value}");
            }
        }
    }
}

#[test]
fn winclip_on_the_mini_data_set() {
    let (golden, model) = (support::golden(), support::golden_model());
    let (expected, case) = (support::tensors("winclip"), support::case("data"));
    let files = case["files"].as_array().unwrap();
    let here = Workplace::new();
    for (class, first) in [("bottle", 0), ("metal_nut", 6)] {
        let paths: Vec<String> = (first..first + 6)
            .map(|i| {
                golden.join("data/mvtec_mini").join(files[i].as_str().unwrap()).to_str().unwrap().to_owned()
            })
            .collect();
        let folder = golden.join("data/mvtec_mini").join(class).join("test");
        for (case, references) in [("zero", 0), ("few1", 1), ("few2", 2)] {
            let out = format!("out-{case}-{class}");
            let mut arguments = vec!["detect", folder.to_str().unwrap(), "--model", model.to_str().unwrap()];
            arguments.extend(["--method", "winclip", "--class", class, "--save", "raw", "--out", &out]);
            arguments.extend(["--format", "jsonl"]);
            for path in &paths[..references] {
                arguments.extend(["--reference", path]);
            }
            let records = here.run(&arguments).ok().json_lines();
            assert_eq!(records.len(), 6);
            let of = |part: &str| &expected[&format!("{case}.{class}.{part}")];
            // Pictures that are compared with the first ones begin at the third.
            let queries = if references == 0 { &paths[..] } else { &paths[2..] };
            assert_eq!(of("image_score").dims1().unwrap(), queries.len());
            for (i, path) in queries.iter().enumerate() {
                let record =
                    records.iter().find(|r| r["path"] == path.as_str()).expect("a record per picture");
                let score = of("image_score").get(i).unwrap().to_scalar::<f32>().unwrap();
                for found in [&record["score"], &record["components"]["image"]] {
                    let found = found.as_f64().unwrap() as f32;
                    assert!((found - score).abs() < 1e-5, "{case} {path}: {found} {score}");
                }
                // The maps of two queries are stored.
                if i < of("pixel_map").dim(0).unwrap() {
                    let raw: Array2<f32> =
                        ndarray_npy::read_npy(here.path(record["files"]["raw"].as_str().unwrap())).unwrap();
                    let map = difference(raw.as_slice().unwrap(), &of("pixel_map").get(i).unwrap());
                    assert!(map < 1e-4, "{case} {path}: {map}");
                }
            }
        }
    }
}
