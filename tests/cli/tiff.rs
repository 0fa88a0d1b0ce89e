//! TIFF and PNM, samples of more than 8 bits, and what the results say about them.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{Workplace, support};

/// The shared cases of TIFF; they are not part of the repository.
fn cases() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/cases/tiff");
    if !folder.is_dir() {
        support::skip("the shared cases are not here");
    }
    folder.is_dir().then_some(folder)
}

/// A file of the repository's fixtures, copied.
fn fixture(here: &Workplace, name: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/wide").join(name);
    std::fs::copy(from, here.path(name)).unwrap();
}

#[test]
fn shared_cases() {
    let Some(folder) = cases() else { return };
    let here = Workplace::new();
    let ran = here.run(&["detect", folder.to_str().unwrap(), "--format", "jsonl"]).ok();
    let mut wrong = Vec::new();
    for record in ran.json_lines() {
        let (name, score) = (record["name"].as_str().unwrap(), record["score"].as_f64().unwrap());
        println!("{name:20} {score:.4} {}", record["decoding"]);
        // The same picture in colour, in grey, with 64 colours, and with coarse colours (JPEG).
        let tolerance = if name.contains("jpeg") || name.contains("pal") { 0.013 } else { 0.002 };
        if (score - 0.7273).abs() > tolerance {
            wrong.push(format!("{name}: {score}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(ran.json_lines().len(), 14);
}

/// `detect` of one file, as JSON.
fn record(here: &Workplace, arguments: &[&str]) -> Value {
    here.detect(&[&["--format", "json"], arguments].concat()).ok().json()
}

#[test]
fn the_record_says_how_a_picture_was_decoded() {
    let here = Workplace::new();
    here.picture("plain.png", 30, 20);
    assert_eq!(record(&here, &["plain.png"])["decoding"], Value::Null);
    for (name, depth, samples, range, pages, orientation, warning) in [
        ("p5_wide.pgm", 12, "unsigned", json!({"min": 0.0, "max": 4095.0}), 1, 1, "named in the file"),
        ("largest14.tif", 16, "unsigned", json!({"min": 0.0, "max": 16_383.0}), 1, 1, "by the largest value"),
        ("float32_255.tif", 32, "float", json!({"min": 0.0, "max": 255.0}), 1, 1, "all values lie there"),
        ("pages.tif", 8, "unsigned", Value::Null, 3, 1, "the first of 3 pages"),
        ("turned6.tif", 8, "unsigned", Value::Null, 1, 6, ""),
    ] {
        fixture(&here, name);
        let ran = here.detect(&["--format", "json", name]).ok();
        let mut said = ran.json()["decoding"].clone();
        let warnings = said["warnings"].take();
        let expected = json!({"depth": depth, "samples": samples, "range": range, "pages": pages,
            "orientation": orientation, "warnings": null});
        assert_eq!(said, expected, "{name}");
        assert!(warnings.to_string().contains(warning) && ran.stderr.contains(warning), "{name}: {warnings}");
        // Line by line as well.
        let line = here.work(format!("{name}\n").as_bytes(), &[]).ok();
        assert_eq!(line.json()["decoding"], ran.json()["decoding"]);
    }
    let table = here.detect(&["--format", "csv", "p5_wide.pgm", "--quiet"]).ok().stdout;
    let (head, row) = table.trim_end().split_once('\n').unwrap();
    assert!(head.trim_end().ends_with("decoding.pages,decoding.orientation,decoding.warnings"), "{head}");
    assert!(row.contains(",12,unsigned,0.0,4095.0,1,1,\"[\"\"values 0 to 4095"), "{row}");
}

#[test]
fn ranges_by_flag_and_settings_file() {
    let here = Workplace::new();
    fixture(&here, "largest12.tif");
    let range = |arguments: &[&str]| {
        let found = record(&here, &[&["largest12.tif"], arguments].concat())["decoding"]["range"].clone();
        (found["min"].as_f64().unwrap(), found["max"].as_f64().unwrap())
    };
    assert_eq!(range(&[]), (0.0, 4095.0));
    assert_eq!(range(&["--range", "full"]), (0.0, 65_535.0));
    assert_eq!(range(&["--range", "-5:9000.5"]), (-5.0, 9000.5));
    assert_eq!(range(&["--range", "reference"]), (0.0, 255.0));
    std::fs::write(here.path("aaclip.toml"), "range = '0:9'\n").unwrap();
    assert_eq!(range(&[]), (0.0, 9.0));
    let refused = here.detect(&["largest12.tif", "--range", "9:0"]);
    assert!(refused.code == 2 && refused.stderr.contains("MIN below MAX"), "{}", refused.stderr);
}

#[test]
fn a_warning_is_said_once_and_counted() {
    let here = Workplace::new();
    for name in ["in/a.tif", "in/b.tif", "in/c.tif"] {
        std::fs::create_dir_all(here.path("in")).unwrap();
        fixture(&here, "largest12.tif");
        std::fs::rename(here.path("largest12.tif"), here.path(name)).unwrap();
    }
    let ran = here.detect(&["in", "--out", "out"]).ok();
    assert_eq!(ran.stderr.matches("(by the largest value)").count(), 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("warning: 2 more pictures: values 0 to 4095"), "{}", ran.stderr);
    // The page of the run shows it for each picture.
    here.run(&["report", "out"]).ok();
    let page = std::fs::read_to_string(here.path("out/report.html")).unwrap();
    assert_eq!(page.matches("16 bits; 0 is black, 4095 is white").count(), 3);
}

#[test]
fn a_format_that_is_not_read_is_named() {
    let here = Workplace::new();
    std::fs::write(here.path("x.jp2"), b"\0\0\0\x0cjP  \r\n\x87\n\0\0").unwrap();
    let ran = here.detect(&["x.jp2"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("it is JPEG 2000; convert it to PNG"), "{}", ran.stderr);
}
