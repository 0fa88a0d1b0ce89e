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
