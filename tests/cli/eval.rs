//! `aaclip eval` and `aaclip calibrate`.

use std::path::{Path, PathBuf};

use crate::snapshot::{Refusals, outline, without_figures};
use crate::{Ran, Workplace, support};
use serde_json::Value;

/// Four good and four spoilt pictures of 48 x 48, with masks.
fn parts(here: &Workplace) -> PathBuf {
    for i in 0..4 {
        here.picture(&format!("parts/good/{i}.png"), 48, 40 + i);
        here.picture(&format!("parts/defect/{i}.png"), 40 + i, 48);
        let mask = image::GrayImage::from_fn(40 + i, 48, |x, y| {
            image::Luma([if x < 9 + i && y < 12 { 255 } else { 0 }])
        });
        std::fs::create_dir_all(here.path("parts/masks")).unwrap();
        mask.save(here.path(format!("parts/masks/{i}.png"))).unwrap();
    }
    here.path("parts")
}

impl Workplace {
    /// `eval` or `calibrate` with the tiny model.
    fn tiny(&self, command: &str, arguments: &[&str]) -> Ran {
        let model = support::tiny_model().to_str().unwrap();
        self.run(&[&[command, "--model", model], arguments].concat())
    }

    fn golden(&self, data: &Path, out: &str, arguments: &[&str]) -> Value {
        let model = support::golden_model().to_str().unwrap();
        let levels = support::golden_levels().iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        let base = [
            "eval",
            data.to_str().unwrap(),
            "--model",
            model,
            "--out",
            out,
            "--format",
            "json",
            "--levels",
            &levels,
        ];
        self.run(&[&base, arguments].concat()).ok().json()
    }
}

/// One of the official table's cells, in percent.
fn cell(table: &Value, class: &str, column: &str) -> f64 {
    let title: Vec<&str> = table[1].as_str().unwrap().split('|').map(str::trim).collect();
    let at = title.iter().position(|t| *t == column).unwrap();
    let row = table
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r.as_str().unwrap())
        .find(|r| r.starts_with(&format!("| {class}")));
    row.unwrap().split('|').nth(at).unwrap().trim().parse().unwrap()
}

/// The tables that CLIP-AD's `test.py` and `test_ft.py` print, from the pictures and masks on disk.
#[test]
fn the_official_tables_of_sdp_and_sdp_plus() {
    let golden = support::golden();
    let here = Workplace::new();
    let linear = golden.join("weights/clipad_linear.safetensors");
    for (case, adapters) in [("clipad_sdp", None), ("clipad_sdp_plus", Some(linear.to_str().unwrap()))] {
        let expected = support::case(case);
        for sigma in ["8", "2"] {
            let mut arguments = vec!["--smoothing", sigma];
            arguments.extend(adapters.iter().flat_map(|a| ["--adapters", *a]));
            let found = here.golden(&golden.join("data/mvtec_mini"), &format!("{case}-{sigma}"), &arguments);
            let official = &expected["official_tables"][format!("sigma{sigma}")];
            for (column, key) in [
                ("auroc_px", "pixel_auroc"),
                ("f1_px", "pixel_f1_max"),
                ("ap_px", "pixel_ap"),
                ("auroc_sp", "image_reference_auroc"),
                ("f1_sp", "image_reference_f1_max"),
                ("ap_sp", "image_reference_ap"),
            ] {
                for class in ["bottle", "metal_nut", "mean"] {
                    let row = if class == "mean" { &found["mean"] } else { &found["table"][class] };
                    let (ours, theirs) = (100.0 * row[key].as_f64().unwrap(), cell(official, class, column));
                    // They print one decimal.
                    assert!(
                        (ours - theirs).abs() <= 0.0501,
                        "{case} {sigma} {class} {column}: {ours} {theirs}"
                    );
                }
            }
        }
    }
}

/// The figures of AA-CLIP's `metrics_eval`, industrial and medical. Maps differ from the official ones by a millionth, which
/// can swap a few pixels: one in 1e7 is a swap of two.
#[test]
fn the_official_figures_of_aa_clip() {
    let (golden, case) = (support::golden(), support::case("aaclip_infer"));
    let here = Workplace::new();
    let adapters = golden.join("weights/aaclip_adapters.safetensors");
    let adapters = ["--adapters", adapters.to_str().unwrap()];
    for relu in [false, true] {
        let flag = format!("--relu={relu}");
        let arguments = [&adapters[..], &[&flag]].concat();
        let tree =
            here.golden(&golden.join("data/mvtec_mini/full-shot.jsonl"), &format!("tree-{relu}"), &arguments);
        let brain = here.golden(
            &golden.join("data/mvtec_mini/brain-full-shot.jsonl"),
            &format!("brain-{relu}"),
            &arguments,
        );
        for (found, class, domain) in [
            (&tree, "bottle", "industrial"),
            (&tree, "metal_nut", "industrial"),
            (&brain, "Brain", "medical"),
        ] {
            let name = if relu { "True" } else { "False" };
            let official = &case["metrics"][format!("relu={name} {class} {domain}")];
            for (key, theirs) in [
                ("pixel_auroc", "_pixel_auc"),
                ("pixel_ap", "_pixel_ap"),
                ("image_reference_auroc", "_image_auc"),
                ("image_reference_ap", "_image_ap"),
            ] {
                let (ours, theirs) =
                    (found["table"][class][key].as_f64().unwrap(), official[theirs].as_f64().unwrap());
                assert!((ours - theirs).abs() < 1e-5, "{relu} {class} {key}: {ours} {theirs}");
            }
        }
    }
}

#[test]
fn every_method_on_real_pictures() {
    let Some(mvtec) = support::mvtec() else { return };
    let here = Workplace::new();
    let weights = |name: &str| support::golden().join("weights").join(name).to_str().unwrap().to_owned();
    let (aa, plus) = (weights("aaclip_adapters.safetensors"), weights("clipad_linear.safetensors"));
    for (method, adapters) in
        [("sdp", None), ("sdp-plus", Some(&plus)), ("aa-clip", Some(&aa)), ("aa-sdp", Some(&aa))]
    {
        let mut arguments = vec!["--method", method, "--compare", "published"];
        arguments.extend(adapters.iter().flat_map(|a| ["--adapters", a.as_str()]));
        let table = here.golden(&mvtec, method, &arguments);
        assert_eq!(
            (table["classes"].as_array().unwrap().len(), &table["about"]["pictures"]),
            (15, &180.into())
        );
        assert_eq!(table["about"]["problems"], serde_json::json!([]));
        for key in ["image_auroc", "image_reference_auroc", "pixel_auroc", "pixel_pro"] {
            let value = table["mean"][key].as_f64().unwrap();
            assert!((0.0..=1.0).contains(&value), "{method} {key}");
        }
    }
}

#[test]
fn an_interrupted_run_continues() {
    let here = Workplace::new();
    parts(&here);
    let eval =
        |more: &[&str]| here.tiny("eval", &[&["parts", "--verbose", "--format", "json"], more].concat());
    let first = eval(&[]).ok();
    assert!(first.stderr.contains("8 scored"), "{}", first.stderr);
    // Half of the results, and a torn line as a crash leaves it.
    let path = here.path("aaclip-eval/results.jsonl");
    let lines = std::fs::read_to_string(&path).unwrap();
    let kept: String = lines.split_inclusive('\n').take(4).collect();
    std::fs::write(&path, kept + "{\"name\": \"good/3").unwrap();
    let second = eval(&[]).ok();
    assert!(second.stderr.contains("4 scored") && second.stderr.contains("4 taken"), "{}", second.stderr);
    assert_eq!(first.json()["classes"], second.json()["classes"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 8);
    // A changed picture is scored again.
    here.picture("parts/good/0.png", 30, 31);
    assert!(eval(&[]).ok().stderr.contains("1 scored"));
    // Other settings are refused with the differences, and started over on request.
    let mut refused = Refusals::default();
    refused.lines(&["--levels", "1,2"], &here.tiny("eval", &["parts", "--levels", "1,2"]));
    insta::assert_snapshot!(refused.0);
    assert!(eval(&["--levels", "1,2", "--fresh"]).ok().stderr.contains("8 scored"));
    // Without maps there is nothing to continue from.
    assert!(eval(&["--levels", "1,2", "--discard-maps"]).ok().stderr.contains("0 scored"));
    assert!(!here.path("aaclip-eval/maps.f32").exists());
    assert!(eval(&["--levels", "1,2"]).ok().stderr.contains("8 scored"));
}

#[test]
fn what_cannot_be_used_is_named_and_the_rest_finished() {
    let here = Workplace::new();
    let parts = parts(&here);
    std::fs::write(parts.join("good/1.png"), b"no picture").unwrap();
    std::fs::write(parts.join("masks/2.png"), b"no picture").unwrap();
    std::fs::remove_file(parts.join("masks/3.png")).unwrap();
    let ran = here.tiny("eval", &["parts", "--format", "json"]);
    assert_eq!(ran.code, 2);
    let about = &ran.json()["about"];
    let problems: Vec<&str> =
        about["problems"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert_eq!(ran.stderr.lines().count(), 4);
    insta::assert_snapshot!(ran.stderr);
    let class = &ran.json()["classes"][0];
    assert_eq!(
        (&class["good"], &class["anomalous"], &class["with_pixels"]),
        (&3.into(), &4.into(), &5.into())
    );
}

#[test]
fn tables_in_every_form() {
    let here = Workplace::new();
    parts(&here);
    let eval = |more: &[&str]| here.tiny("eval", &[&["parts"], more].concat()).ok().stdout;
    for (name, more) in [
        ("text", &["--compare", "published"][..]),
        ("csv", &["--format", "csv"]),
        ("markdown", &["--format", "markdown"]),
    ] {
        insta::assert_snapshot!(name, without_figures(&eval(more)));
    }
    let json: Value =
        serde_json::from_str(&std::fs::read_to_string(here.path("aaclip-eval/table.json")).unwrap()).unwrap();
    assert_eq!(json["classes"][0]["class"], "parts");
    assert_eq!(json["about"]["classes"]["parts"], "object");
    for file in ["table.md", "table.csv", "manifest.json", "results.jsonl"] {
        assert!(here.path("aaclip-eval").join(file).exists(), "{file}");
    }
    let _filters = here.filters();
    let page = std::fs::read_to_string(here.path("aaclip-eval/report.html")).unwrap();
    insta::assert_snapshot!("page", without_figures(&outline(&page)));
    // Binned figures come with their bounds; without pixels there are none.
    let binned: Value = serde_json::from_str(&eval(&["--format", "json", "--pixels", "binned"])).unwrap();
    let (exact, rough) = (&json["classes"][0]["pixel"], &binned["classes"][0]["pixel"]);
    let difference =
        exact["ranking"]["auroc"].as_f64().unwrap() - rough["ranking"]["auroc"].as_f64().unwrap();
    assert!(difference.abs() <= rough["bounds"]["auroc"].as_f64().unwrap() + 1e-12);
    let none: Value = serde_json::from_str(&eval(&["--format", "json", "--pixels", "none"])).unwrap();
    assert!(none["classes"][0]["pixel"].is_null() && none["mean"]["pixel_auroc"].is_null());
}

#[test]
fn the_worst_pictures_are_saved_first() {
    let here = Workplace::new();
    parts(&here);
    here.tiny("eval", &["parts", "--save", "overlay,raw", "--save-top", "3"]).ok();
    let mut names: Vec<String> = std::fs::read_dir(here.path("aaclip-eval/pictures"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), 6, "{names:?}");
    assert!(names[0].starts_with("0001-") && names[5].starts_with("0003-"), "{names:?}");
}

#[test]
fn limits_and_classes() {
    let here = Workplace::new();
    let data = support::golden().join("data/mvtec_mini");
    let found = here.golden(&data, "out", &["--classes", "metal_nut", "--limit", "2"]);
    let class = &found["classes"][0];
    assert_eq!(
        (&class["class"], &class["good"], &class["anomalous"]),
        (&"metal_nut".into(), &1.into(), &1.into())
    );
    // What was scored is not scored again when more is asked for.
    let all = here.golden(&data, "out", &[]);
    assert_eq!((all["classes"].as_array().unwrap().len(), &all["about"]["pictures"]), (2, &12.into()));
}

#[test]
fn mistakes_are_said_in_a_line() {
    let here = Workplace::new();
    parts(&here);
    std::fs::create_dir(here.path("full")).unwrap();
    std::fs::write(here.path("full/notes.txt"), b"mine").unwrap();
    std::fs::create_dir(here.path("bad")).unwrap();
    std::fs::write(here.path("bad/manifest.json"), b"{}").unwrap();
    let mut refused = Refusals::default();
    for arguments in [
        &["nowhere"][..],
        &["parts", "--classes", "nut"],
        &["parts", "--out", "full"],
        &["parts", "--out", "bad"],
        &["parts", "--compare", "published", "--format", "csv"],
        &["parts", "--dataset-names", "mvtec"],
    ] {
        refused.line(arguments, &here.tiny("eval", arguments));
    }
    for arguments in [
        &["full"][..],
        &["parts", "--pro-limit", "0"],
        &["parts", "--limit", "0"],
        &["parts", "--layout", "x"],
        &[],
    ] {
        refused.lines(arguments, &here.tiny("eval", arguments));
    }
    insta::assert_snapshot!(refused.0);
}

#[test]
fn a_threshold_from_good_pictures() {
    let here = Workplace::new();
    parts(&here);
    let ran = here.tiny("calibrate", &["parts/good", "-o", "t.json", "--false-alarm-rate", "0.4"]).ok();
    insta::assert_snapshot!("from_good_pictures", without_figures(&ran.stdout));
    let file: Value = serde_json::from_str(&std::fs::read_to_string(here.path("t.json")).unwrap()).unwrap();
    let threshold = file["classes"]["object"]["threshold"].as_f64().unwrap() as f32;
    let found = here.detect(&["parts/good", "--threshold", "t.json", "--format", "jsonl"]).ok();
    let records = found.json_lines();
    assert!(records.iter().all(|r| r["threshold"].as_f64().unwrap() as f32 == threshold));
    // One of four is above a threshold that expects two of five.
    assert_eq!(records.iter().filter(|r| r["anomalous"] == true).count(), 1);

    let mut refused = Refusals::default();
    for arguments in [
        &["parts/good", "--threshold", "t.json", "--levels", "1,2"][..],
        &["parts/good", "--threshold", "t.json", "--class", "nut"],
        &["parts/good", "--threshold", "none.json"],
        &["parts/good", "--threshold", "parts/good/0.png"],
    ] {
        refused.line(arguments, &here.detect(arguments));
    }
    insta::assert_snapshot!(refused.0);
}

#[test]
fn a_threshold_from_labels() {
    let here = Workplace::new();
    parts(&here);
    let ran = here.tiny("calibrate", &["parts", "-o", "t.json"]).ok();
    insta::assert_snapshot!("from_labels", without_figures(&ran.stdout));
    let table: Value = here.tiny("eval", &["parts", "--format", "json"]).ok().json();
    let file: Value = serde_json::from_str(&std::fs::read_to_string(here.path("t.json")).unwrap()).unwrap();
    assert_eq!(file["classes"]["object"]["threshold"], table["classes"][0]["image"]["f1_threshold"]);
    let mut refused = Refusals::default();
    let best = ["parts/good", "-o", "u.json", "--rule", "best-f1"];
    refused.lines(&best, &here.tiny("calibrate", &best));
    insta::assert_snapshot!(refused.0);
    assert!(!here.path("u.json").exists());
}

#[test]
fn a_threshold_file_names_its_class() {
    let here = Workplace::new();
    parts(&here);
    here.tiny("calibrate", &["parts/good", "-o", "t.json", "--class", "ball screw"]).ok();
    let class = |arguments: &[&str]| {
        let all = [&["parts/good/0.png", "--threshold", "t.json", "--format", "json"], arguments].concat();
        here.detect(&all).ok().json()["class"].clone()
    };
    assert_eq!((class(&[]), class(&["--class", "ball screw"])), ("ball screw".into(), "ball screw".into()));
    // Of several classes one must be named.
    let mut file: Value =
        serde_json::from_str(&std::fs::read_to_string(here.path("t.json")).unwrap()).unwrap();
    file["classes"]["nut"] = file["classes"]["ball screw"].clone();
    std::fs::write(here.path("t.json"), file.to_string()).unwrap();
    assert_eq!(class(&["--class", "nut"]), "nut");
    let mut refused = Refusals::default();
    let several = ["parts/good/0.png", "--threshold", "t.json"];
    refused.line(&several, &here.detect(&several));
    insta::assert_snapshot!(refused.0);
}

/// The built-in model's method describes the classes of known data sets in other words.
#[test]
fn a_class_of_a_data_set_is_found_by_its_name() {
    let here = Workplace::new();
    for name in ["good/0.png", "good/1.png", "crack/0.png"] {
        here.picture(&format!("set/metal_nut/test/{name}"), 40, 40);
    }
    let run = |arguments: &[&str]| here.run(&[arguments, &["--model", "builtin"]].concat()).ok();
    run(&["calibrate", "set/metal_nut", "-o", "t.json"]);
    let file: Value = serde_json::from_str(&std::fs::read_to_string(here.path("t.json")).unwrap()).unwrap();
    let text = file["names"]["metal_nut"]["text"].clone();
    let picture = "set/metal_nut/test/good/0.png";
    for more in [&[][..], &["--class", "metal_nut"], &["--class", text.as_str().unwrap()]] {
        let detect = ["detect", picture, "--threshold", "t.json", "--format", "json"];
        assert_eq!(run(&[&detect, more].concat()).json()["class"], text, "{more:?}");
    }
}
