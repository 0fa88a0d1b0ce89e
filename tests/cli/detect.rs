//! `aaclip detect`: results, files, exit codes.

use std::io::Write;
use std::process::Stdio;

use ndarray::Array2;

use crate::{Ran, Workplace};

#[test]
fn one_picture_gives_one_object_with_every_field() {
    let here = Workplace::new();
    here.picture("part.png", 50, 40);
    let ran = here.detect(&["part.png", "--format", "json", "--class", "bottle"]).ok();
    assert_eq!(ran.stderr, "");
    let record = ran.json();
    let fields: Vec<&str> = record.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "anomalous",
        "bytes",
        "class",
        "components",
        "decoding",
        "error",
        "files",
        "image_size",
        "map_probability",
        "map_range",
        "method",
        "model",
        "modified",
        "name",
        "name_base64",
        "path",
        "region_threshold",
        "regions",
        "schema",
        "score",
        "sha256",
        "size",
        "stretched",
        "threshold",
        "tiles",
        "timing_ms",
        "warning",
    ];
    let mut sorted = fields.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    assert_eq!(record["path"], "part.png");
    assert_eq!(record["class"], "bottle");
    assert_eq!(record["method"], "sdp");
    assert_eq!(record["size"], serde_json::json!({"width": 50, "height": 40}));
    assert_eq!(
        (&record["anomalous"], &record["threshold"]),
        (&serde_json::Value::Null, &serde_json::Value::Null)
    );
    let score = record["score"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&score));
    for part in ["image", "map_max", "map_mean"] {
        assert!(record["components"][part].is_number(), "{part}");
    }
    for stage in ["decode", "preprocess", "model", "map", "write", "total"] {
        assert!(record["timing_ms"][stage].as_f64().unwrap() >= 0.0, "{stage}");
    }
}

#[test]
fn files_have_the_pictures_size_and_the_raw_map_the_models() {
    let here = Workplace::new();
    for (name, width, height) in [("wide.png", 90, 40), ("high.png", 30, 70), ("square.png", 64, 64)] {
        here.picture(name, width, height);
        let args = [name, "--save", "heatmap,overlay,mask,raw", "--out", "out", "--format", "json"];
        let record = here.detect(&args).ok().json();
        for kind in ["heatmap", "overlay", "mask"] {
            let path = here.path(format!("out/{name}.{kind}.png"));
            assert_eq!(image::image_dimensions(&path).unwrap(), (width, height), "{kind}");
            assert_eq!(here.path(record["files"][kind].as_str().unwrap()), path);
        }
        let raw: Array2<f32> = ndarray_npy::read_npy(here.path(format!("out/{name}.npy"))).unwrap();
        assert_eq!(raw.dim(), (32, 32));
        let highest = raw.iter().copied().fold(f32::MIN, f32::max);
        assert_eq!(record["components"]["map_max"].as_f64().unwrap() as f32, highest);
    }
    let leftovers = std::fs::read_dir(here.path("out")).unwrap().count();
    assert_eq!(leftovers, 12);
}

#[test]
fn regions_lie_where_the_mask_is_white() {
    let here = Workplace::new();
    here.picture("part.png", 120, 80);
    let args =
        ["part.png", "--save", "mask", "--region-threshold", "0.5", "--format", "json", "--smoothing", "1"];
    let record = here.detect(&args).ok().json();
    let mask = image::open(here.path("aaclip-out/part.png.mask.png")).unwrap().into_luma8();
    let white = mask.pixels().filter(|p| p.0[0] == 255).count() as u64;
    let regions = record["regions"].as_array().unwrap();
    assert_eq!(regions.iter().map(|r| r["area"].as_u64().unwrap()).sum::<u64>(), white);
    for region in regions {
        let side = |name: &str| region[name].as_u64().unwrap();
        assert!(side("x") + side("width") <= 120 && side("y") + side("height") <= 80);
        assert!(region["peak"].as_f64().unwrap() >= 0.5);
    }
}

#[test]
fn thresholds_decide_and_exit_codes_tell() {
    let here = Workplace::new();
    here.picture("part.png", 40, 40);
    let verdict = |threshold: &str, more: &[&str]| {
        here.detect(&[&["part.png", "--format", "json", "--threshold", threshold], more].concat())
    };
    let low = verdict("0", &[]).ok().json();
    assert_eq!((&low["anomalous"], &low["threshold"]), (&true.into(), &0.0.into()));
    assert_eq!(verdict("1", &[]).ok().json()["anomalous"], false);
    assert_eq!(verdict("0", &["--fail-on-anomaly"]).code, 1);
    assert_eq!(verdict("1", &["--fail-on-anomaly"]).code, 0);
    assert_eq!(here.detect(&["part.png", "--fail-on-anomaly"]).code, 2);
    let text = here.detect(&["part.png", "--threshold", "0"]).ok().stdout;
    assert!(text.contains("ANOMALOUS  part.png"), "{text}");
    // With an error as well.
    assert_eq!(here.detect(&["part.png", "gone.png", "--threshold", "0", "--fail-on-anomaly"]).code, 3);
}

#[test]
fn folders_lists_and_patterns_agree_with_single_pictures() {
    let here = Workplace::new();
    for name in ["in/b.png", "in/sub/a.png", "in/c.bmp"] {
        here.picture(name, 40, 30);
    }
    std::fs::write(here.path("in/notes.txt"), "no picture").unwrap();
    let scores = |ran: Ran| -> Vec<(String, f64)> {
        let of = |r: &serde_json::Value| {
            (r["path"].as_str().unwrap().replace('\\', "/"), r["score"].as_f64().unwrap())
        };
        ran.json_lines().iter().map(of).collect()
    };
    let folder = scores(here.detect(&["in", "--format", "jsonl"]).ok());
    let paths: Vec<&str> = folder.iter().map(|(p, _)| p.as_str()).collect();
    assert_eq!(paths, ["in/b.png", "in/c.bmp", "in/sub/a.png"]);
    for (path, score) in &folder {
        assert_eq!(scores(here.detect(&[path, "--format", "jsonl"]).ok()), [(path.clone(), *score)]);
    }
    let pattern = scores(here.detect(&["in/*.[bp][mn][pg]", "--format", "jsonl"]).ok());
    assert_eq!(pattern, folder[..2]);

    let model = crate::support::tiny_model();
    let mut child = here
        .command()
        .args(["detect", "-", "--format", "jsonl", "--model"])
        .arg(model)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"in/sub/a.png\nin/b.png\n").unwrap();
    let listed = scores(Ran::from(child.wait_with_output().unwrap()).ok());
    assert_eq!(listed, [folder[2].clone(), folder[0].clone()]);
}

#[test]
fn output_names_mirror_the_folder_and_never_collide() {
    let here = Workplace::new();
    for name in ["in/a.png", "in/a.bmp", "in/sub/a.png"] {
        here.picture(name, 20, 20);
    }
    here.detect(&["in", "--save", "raw", "--out", "out"]).ok();
    for name in ["a.png.npy", "a.bmp.npy", "sub/a.png.npy", "results.jsonl", "manifest.json"] {
        assert!(here.path("out").join(name).is_file(), "{name}");
    }
    here.picture("other/a.png", 20, 20);
    let ran = here.detect(&["in", "other", "--save", "raw", "--out", "twice"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("would write the same files"), "{}", ran.stderr);
    assert!(!here.path("twice").exists());
}

#[test]
fn json_of_many_is_an_array_and_csv_a_table() {
    let here = Workplace::new();
    here.picture("in/a.png", 20, 20);
    assert_eq!(here.detect(&["in", "--format", "json"]).ok().json().as_array().unwrap().len(), 1);
    here.picture("in/b, \"c\".png", 20, 20);
    let csv = here.detect(&["in", "--format", "csv"]).ok().stdout;
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    assert!(rows.headers().unwrap().iter().any(|h| h == "components.image"));
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    assert!(rows.len() == 2 && rows[1][1].ends_with("b, \"c\".png"));
}

#[test]
fn the_second_run_reads_its_anchors_from_the_cache() {
    let here = Workplace::new();
    here.picture("part.png", 30, 30);
    let score = |args: &[&str]| {
        here.detect(&[&["part.png", "--format", "json"], args].concat()).ok().json()["score"].clone()
    };
    let first = score(&[]);
    let cached = || std::fs::read_dir(here.path("cache/anchors")).map_or(0, |entries| entries.count());
    assert_eq!(cached(), 1);
    assert_eq!(score(&[]), first);
    assert_eq!(score(&["--no-cache"]), first);
    // A damaged file is rebuilt.
    let file = std::fs::read_dir(here.path("cache/anchors")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(&file, b"damaged").unwrap();
    assert_eq!(score(&[]), first);
    assert!(std::fs::metadata(&file).unwrap().len() > 7);
    // Other prompts, another class, another vector: other anchors.
    score(&["--class", "screw"]);
    score(&["--prompts", "aa-clip"]);
    score(&["--anchors", "pca"]);
    score(&["--activation", "quick-gelu"]);
    assert_eq!(cached(), 5);
}

#[test]
fn settings_change_what_they_should() {
    let here = Workplace::new();
    here.picture("part.png", 60, 30);
    let raw = |args: &[&str]| -> Array2<f32> {
        here.detect(&[&["part.png", "--save", "raw", "--out", "o"], args].concat()).ok();
        ndarray_npy::read_npy(here.path("o/part.png.npy")).unwrap()
    };
    let default = raw(&[]);
    assert_eq!(raw(&["--levels", "1,2,3,4", "--smoothing", "8", "--fit", "squash"]), default);
    assert_eq!(raw(&["--levels", "4,3,2,1,1"]), default);
    for args in [
        &["--levels", "2,4"][..],
        &["--smoothing", "2"],
        &["--fit", "crop"],
        &["--fit", "pad"],
        &["--fidelity", "clean"],
        &["--activation", "quick-gelu"],
        &["--anchors", "kde", "--anchor-bandwidth", "0.05"],
        &["--prompts", "clip-ad-medical"],
    ] {
        assert_ne!(raw(args), default, "{args:?}");
    }
    assert_eq!(raw(&["--image-size", "64"]).dim(), (64, 64));
    for anchors in ["mean", "pca", "kde", "mean-shift"] {
        raw(&["--anchors", anchors]);
    }
    raw(&["--anchors", "dbscan", "--anchor-eps", "2", "--anchor-min-samples", "3"]);
}

#[test]
fn scores_do_not_depend_on_the_number_of_threads() {
    let here = Workplace::new();
    for i in 0..5 {
        here.picture(&format!("in/{i}.png"), 60 + i, 40);
    }
    let scores = |threads: &str| -> Vec<f64> {
        let lines = here.detect(&["in", "--format", "jsonl", "--threads", threads]).ok().stdout;
        let record = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        lines.lines().map(|line| record(line)["score"].as_f64().unwrap()).collect()
    };
    let one = scores("1");
    assert_eq!(one.len(), 5);
    assert_eq!((scores("2"), scores("5")), (one.clone(), one));
}

#[test]
fn small_numbers_change_scores_a_little() {
    let here = Workplace::new();
    here.picture("part.png", 60, 30);
    let score = |precision: &str| {
        here.detect(&["part.png", "--format", "json", "--precision", precision]).ok().json()["score"]
            .as_f64()
            .unwrap()
    };
    let exact = score("f32");
    for precision in ["bf16", "int8", "auto"] {
        assert!((score(precision) - exact).abs() < 0.02, "{precision}: {} {exact}", score(precision));
    }
    assert_ne!(score("bf16"), exact);
    let refused = |precision: &str| {
        let ran = here.detect(&["part.png", "--precision", precision]);
        assert_eq!(ran.code, 2);
        ran.stderr
    };
    assert!(refused("f16").contains("on the CPU use bf16"), "{}", refused("f16"));
    assert!(refused("f8").contains("auto"), "{}", refused("f8"));
}

#[test]
fn a_closed_pipe_is_success() {
    let here = Workplace::new();
    for i in 0..20 {
        here.picture(&format!("in/{i}.png"), 20, 20);
    }
    let mut child = here
        .command()
        .args(["detect", "in", "--model"])
        .arg(crate::support::tiny_model())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
}

#[test]
fn help_says_what_a_score_is_and_what_exit_codes_mean() {
    let here = Workplace::new();
    let help = here.run(&["detect", "--help"]).ok().stdout;
    for needle in ["Exit codes:", "Score:", "Examples:", "--fail-on-anomaly", "sigmoid"] {
        assert!(help.contains(needle), "{needle}");
    }
    let verbose = {
        here.picture("part.png", 20, 20);
        here.detect(&["part.png", "--verbose"]).ok().stderr
    };
    assert!(verbose.contains("1 scored, 0 anomalous, 0 failed"), "{verbose}");
}
