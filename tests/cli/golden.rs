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

/// What one run says of each picture of a case: the score of the method, and the map if it is stored.
#[track_caller]
fn agrees(
    here: &Workplace,
    records: &[serde_json::Value],
    run: &serde_json::Value,
    scores: &Tensor,
    maps: &Tensor,
) {
    let mini = support::golden().join("data/mvtec_mini");
    for (i, name) in run["pictures"].as_array().unwrap().iter().enumerate() {
        let path = mini.join(name.as_str().unwrap());
        let record =
            records.iter().find(|r| r["path"] == path.to_str().unwrap()).expect("a record per picture");
        let found = record["components"]["image"].as_f64().unwrap() as f32;
        let score = scores.get(i).unwrap().to_scalar::<f32>().unwrap();
        assert!((found - score).abs() < 1e-5, "{name}: {found} {score}");
        assert!((0.0..=1.0).contains(&record["score"].as_f64().unwrap()));
        if i < maps.dim(0).unwrap() {
            let raw: Array2<f32> =
                ndarray_npy::read_npy(here.path(record["files"]["raw"].as_str().unwrap())).unwrap();
            let map = difference(raw.as_slice().unwrap(), &maps.get(i).unwrap());
            assert!(map < 1e-4, "{name}: {map}");
        }
    }
}

#[test]
fn musc_on_the_mini_data_set() {
    let (expected, case) = (support::tensors("musc"), support::case("musc"));
    let here = Workplace::new();
    for (name, size) in [("bottle", "70"), ("metal_nut", "70"), ("big", "98")] {
        let run = &case["runs"][name];
        let folder =
            support::golden().join("data/mvtec_mini").join(run["class_name"].as_str().unwrap()).join("test");
        let mut arguments = vec!["detect", folder.to_str().unwrap(), "--method", "musc", "--save", "raw"];
        arguments.extend(["--model", support::golden_model().to_str().unwrap(), "--image-size", size]);
        arguments.extend(["--out", name, "--format", "jsonl"]);
        let records = here.run(&arguments).ok().json_lines();
        let of = |part: &str| &expected[&format!("{name}.{part}")];
        agrees(&here, &records, run, of("image_score"), of("map"));
    }
}

#[test]
fn a_memory_of_good_parts_on_the_mini_data_set() {
    let (expected, case) = (support::tensors("reference_memory"), support::case("reference_memory"));
    let here = Workplace::new();
    let mini = support::golden().join("data/mvtec_mini");
    for (name, more) in [
        ("bottle.shot2", &[][..]),
        ("metal_nut.shot2", &[]),
        ("bottle.mask_large", &["--background", "5.2", "--image-size", "210"]),
        ("metal_nut.mask_large", &["--background", "5.2", "--image-size", "210"]),
    ] {
        let run = &case["runs"][name];
        let folder = mini.join(run["class_name"].as_str().unwrap()).join("test");
        let mut arguments =
            vec!["detect", folder.to_str().unwrap(), "--method", "reference", "--save", "raw"];
        arguments.extend(["--model", support::golden_model().to_str().unwrap()]);
        arguments.extend(["--out", name, "--format", "jsonl"]);
        arguments.extend(more);
        let good: Vec<String> = (run["references"].as_array().unwrap().iter())
            .map(|f| mini.join(f.as_str().unwrap()).to_str().unwrap().to_owned())
            .collect();
        good.iter().for_each(|path| arguments.extend(["--reference", path]));
        let records = here.run(&arguments).ok().json_lines();
        let of = |part: &str| &expected[&format!("{name}.{part}")];
        agrees(&here, &records, run, of("image_score"), of("map"));
    }
}

#[test]
fn a_folder_that_is_scored_together() {
    let here = Workplace::new();
    for i in 0..6 {
        here.picture(&format!("in/{i}.png"), 60 + i, 40);
    }
    let model = support::tiny_model().to_str().unwrap();
    let musc = |more: &[&str]| {
        here.run(&[&["detect", "--method", "musc", "--model", model, "--format", "jsonl"], more].concat())
    };
    let whole = musc(&["in"]).ok().json_lines();
    assert_eq!(whole.len(), 6);
    // A part of the run compares with all pictures too, and a picture that cannot be read is left out.
    let part = musc(&["in", "--shard", "1/2"]).ok().json_lines();
    for record in &part {
        assert!(whole.iter().any(|r| r["path"] == record["path"] && r["score"] == record["score"]));
    }
    std::fs::write(here.path("in/broken.png"), "no picture").unwrap();
    let ran = musc(&["in"]);
    assert!(ran.code == 2 && ran.json_lines().iter().filter(|r| r["score"].is_number()).count() == 6);
    // Too few pictures.
    for few in [&["in/0.png"][..], &["in/0.png", "in/1.png", "in/2.png", "in/3.png"]] {
        let ran = musc(few);
        assert!(ran.code == 2 && ran.stderr.contains("at least 5"), "{}", ran.stderr);
    }
    let ran = here.run(&["detect", "in", "--method", "reference", "--model", model]);
    assert!(ran.code == 2 && ran.stderr.contains("needs reference pictures"), "{}", ran.stderr);
}
