//! `--tile`, `--overlap`, `--fit tile`: large pictures in parts.

use ndarray::{Array2, Axis};

use crate::snapshot::Refusals;
use crate::{Workplace, support};

/// The record of `a.png` in one run, and its raw map.
fn look(here: &Workplace, arguments: &[&str]) -> (serde_json::Value, Array2<f32>) {
    let all = [&["a.png", "--save", "raw,heatmap", "--out", "o", "--format", "json"], arguments].concat();
    let record = here.detect(&all).ok().json();
    let raw = here.path(record["files"]["raw"].as_str().unwrap());
    (record.clone(), ndarray_npy::read_npy(raw).unwrap())
}

fn highest(map: &Array2<f32>) -> f32 {
    map.iter().copied().fold(f32::MIN, f32::max)
}

#[test]
fn a_tile_that_covers_the_picture_changes_no_bit() {
    let here = Workplace::new();
    here.picture("a.png", 64, 64);
    let (plain, map) = look(&here, &[]);
    for arguments in [
        &["--tile", "64"][..],
        &["--tile", "64", "--overlap", "0.9"],
        &["--tile", "5000", "--overlap", "0"],
        &["--fit", "tile"],
    ] {
        let (record, tiled) = look(&here, arguments);
        assert_eq!((&record["score"], &record["components"]), (&plain["score"], &plain["components"]));
        assert_eq!(tiled, map, "{arguments:?}");
    }
    // The same for AA-CLIP, which smooths elsewhere.
    let builtin = |arguments: &[&str]| -> Array2<f32> {
        let all = ["detect", "a.png", "--save", "raw", "--out", "b"];
        here.run(&[&all[..], arguments].concat()).ok();
        ndarray_npy::read_npy(here.path("b/a.png.npy")).unwrap()
    };
    assert_eq!(builtin(&["--tile", "64"]), builtin(&[]));
}

#[test]
fn tiles_change_the_map_and_nothing_else_of_the_score() {
    let here = Workplace::new();
    here.picture("a.png", 200, 120);
    let (plain, _) = look(&here, &[]);
    // 80 pixels become the model's 32.
    let (tiled, map) = look(&here, &["--tile", "80", "--overlap", "0.5"]);
    assert_eq!(map.dim(), (48, 80));
    let part = |record: &serde_json::Value, name: &str| record["components"][name].as_f64().unwrap() as f32;
    assert_eq!(part(&tiled, "image"), part(&plain, "image"));
    assert_eq!(part(&tiled, "map_max"), highest(&map));
    let value = 1.0 / (1.0 + (-50.0 * highest(&map)).exp());
    let score = tiled["score"].as_f64().unwrap() as f32;
    assert!((score - 0.5 * (part(&plain, "image") + value)).abs() < 1e-6, "{score}");
    assert_eq!(image::image_dimensions(here.path("o/a.png.heatmap.png")).unwrap(), (200, 120));
    assert_eq!(tiled["size"], serde_json::json!({"width": 200, "height": 120}));

    // Squares of the shorter side: 120 pixels become 32.
    let (_, map) = look(&here, &["--fit", "tile"]);
    assert_eq!(map.dim(), (32, 53));
    let (_, same) = look(&here, &["--fit", "keep", "--tile", "500"]);
    assert_eq!(same, map);
    let (_, other) = look(&here, &["--fit", "tile", "--overlap", "0.75"]);
    assert!(other.dim() == map.dim() && other != map);
}

#[test]
fn scores_of_tiles_do_not_depend_on_threads_or_neighbours() {
    let here = Workplace::new();
    for i in 0..3 {
        here.picture(&format!("in/{i}.png"), 100 + 10 * i, 70);
    }
    let scores = |input: &str, threads: &str| -> Vec<f64> {
        let arguments = [input, "--tile", "40", "--format", "jsonl", "--threads", threads];
        here.detect(&arguments).ok().json_lines().iter().map(|r| r["score"].as_f64().unwrap()).collect()
    };
    let all = scores("in", "1");
    assert_eq!((scores("in", "3"), scores("in/2.png", "2")), (all.clone(), vec![all[2]]));
}

#[test]
fn flags_without_sense_are_refused() {
    let here = Workplace::new();
    here.picture("a.png", 60, 40);
    let mut refused = Refusals::default();
    for arguments in [
        &["--overlap", "0.5"][..],
        &["--tile", "32", "--fit", "tile"],
        &["--tile", "15"],
        &["--tile", "0"],
        &["--tile", "99999999999999999999"],
        &["--tile", "32", "--overlap", "0.95"],
        &["--tile", "32", "--overlap", "nan"],
    ] {
        refused.lines(arguments, &here.detect(&[&["a.png"], arguments].concat()));
    }
    insta::assert_snapshot!(refused.0);
}

#[test]
fn a_picture_of_too_many_tiles_is_an_error_of_its_own() {
    let here = Workplace::new();
    here.picture("in/a.png", 60, 40);
    here.picture("in/line.png", 6000, 2);
    let ran = here.detect(&["in", "--fit", "tile", "--format", "jsonl"]);
    let records = ran.json_lines();
    assert_eq!((ran.code, records.len()), (2, 2));
    assert!(records[0]["score"].is_number() && records[1]["score"].is_null(), "{records:?}");
    assert!(
        records[1]["error"]["message"].as_str().unwrap().contains("at most 1024 are allowed"),
        "{records:?}"
    );
    insta::assert_snapshot!(ran.stderr);
}

#[test]
fn thresholds_hold_for_the_tiles_they_were_found_with() {
    let here = Workplace::new();
    for i in 0..4 {
        here.picture(&format!("good/{i}.png"), 90 + i, 60);
    }
    let model = support::tiny_model().to_str().unwrap();
    let calibrate = ["calibrate", "good", "-o", "t.json", "--model", model, "--tile", "40"];
    here.run(&calibrate).ok();
    let detect = |arguments: &[&str]| {
        here.detect(&[&["good/0.png", "--threshold", "t.json", "--format", "json"], arguments].concat())
    };
    assert!(detect(&["--tile", "40", "--overlap", "0.25"]).ok().json()["threshold"].is_number());
    for arguments in [&[][..], &["--tile", "41"], &["--tile", "40", "--overlap", "0.5"]] {
        let ran = detect(arguments);
        assert!(ran.code == 2 && ran.stderr.contains("tiling"), "{arguments:?}: {}", ran.stderr);
    }
    // Nor is a folder run continued with others.
    let folder = |arguments: &[&str]| here.detect(&[&["good", "--out", "o"], arguments].concat());
    folder(&["--tile", "40"]).ok();
    folder(&["--tile", "40", "--resume"]).ok();
    let ran = folder(&["--tile", "48"]);
    assert!(ran.code == 2 && ran.stderr.contains("tiling"), "{}", ran.stderr);
}

#[test]
fn an_evaluation_takes_tiles() {
    let here = Workplace::new();
    for (name, shade) in [("parts/good/a.png", 90), ("parts/good/b.png", 90), ("parts/defect/c.png", 200)] {
        here.picture(name, 100, u32::from(shade as u8));
    }
    let model = support::tiny_model().to_str().unwrap();
    let eval = |arguments: &[&str]| {
        let all = ["eval", "parts", "--model", model, "--out", "e", "--format", "json"];
        here.run(&[&all[..], arguments].concat())
    };
    let table = eval(&["--tile", "60", "--fit", "keep"]).ok().json();
    assert!(table["mean"]["image_auroc"].is_number(), "{table}");
    let manifest = std::fs::read_to_string(here.path("e/manifest.json")).unwrap();
    assert!(manifest.contains(r#""tiling": "60 pixels, overlap 0.25""#), "{manifest}");
    let maps = std::fs::metadata(here.path("e/maps.f32")).unwrap().len();
    assert_eq!(maps, 3 * 32 * 32 * 4);
    let ran = eval(&["--fit", "keep"]);
    assert!(ran.code == 2 && ran.stderr.contains("tiling"), "{}", ran.stderr);
}

/// On a real picture the map is no rougher where tiles meet than elsewhere.
#[test]
fn no_seam_shows_on_a_real_picture() {
    let Some(mvtec) = support::mvtec() else { return };
    let picture = mvtec.join("hazelnut/test/good");
    let picture = std::fs::read_dir(picture).unwrap().next().unwrap().unwrap().path();
    let here = Workplace::new();
    let decoded = image::open(&picture).unwrap().to_rgb8();
    let (width, height) = (700, 700);
    image::imageops::crop_imm(&decoded, 0, 0, width, height).to_image().save(here.path("a.png")).unwrap();
    // Tiles of 400 pixels begin and end at 300 and 400; those of 350 without overlap meet at 350.
    for (tile, overlap, edges) in [("400", "0.25", &[300.0, 400.0][..]), ("350", "0", &[350.0])] {
        here.run(&["detect", "a.png", "--save", "raw", "--out", "o", "--tile", tile, "--overlap", overlap])
            .ok();
        let map: Array2<f32> = ndarray_npy::read_npy(here.path("o/a.png.npy")).unwrap();
        let scale = map.ncols() as f64 / 700.0;
        for axis in [Axis(0), Axis(1)] {
            let step = |i: usize| {
                let (a, b) = (map.index_axis(axis, i), map.index_axis(axis, i + 1));
                (&b - &a).iter().map(|d| d.abs()).sum::<f32>() / a.len() as f32
            };
            let steps: Vec<f32> = (0..map.len_of(axis) - 1).map(step).collect();
            let mean = steps.iter().sum::<f32>() / steps.len() as f32;
            for edge in edges {
                let at = (edge * scale) as usize;
                let there = steps[at - 3..at + 3].iter().copied().fold(0.0, f32::max);
                println!("tiles of {tile}, {axis:?}, {edge}: step {there:.5}, mean of all {mean:.5}");
                assert!(there < 2.0 * mean, "{tile} {axis:?} {edge}: {there}, mean {mean}");
            }
        }
    }
}
