//! JPEG files of every kind, and what the results say about damaged ones.

use std::path::Path;

use crate::{Workplace, support};

#[test]
fn shared_cases() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/cases");
    if !cases.is_dir() {
        return support::skip("the shared cases are not here");
    }
    let here = Workplace::new();
    let ran = here.run(&["detect", cases.join("jpeg").to_str().unwrap(), "--format", "jsonl"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    let mut found: Vec<(String, String)> = Vec::new();
    for record in ran.json_lines() {
        let about = match record["score"].as_f64() {
            Some(score) => {
                // The truth has 0.7273; coarse colours raise it.
                assert!((0.726..=0.740).contains(&score), "{}: {score}", record["name"]);
                "scored".to_owned()
            }
            None => record["error"]["message"].as_str().unwrap().rsplit(": ").next().unwrap().to_owned(),
        };
        found.push((record["name"].as_str().unwrap().to_owned(), about));
    }
    found.sort();
    let found: Vec<String> = found.into_iter().map(|(name, about)| format!("{name}: {about}")).collect();
    let expected = [
        "jpg_12bit.jpg: JPEGs of 12 bits per sample are not supported",
        "jpg_arith.jpg: JPEGs with arithmetic codes are not supported",
        "jpg_mjpeg_nodht.jpg: scored",
        "jpg_truncated_eoi.jpg: the file ends before the end of the picture",
        "ni_ycc_420.jpg: scored",
        "psmp_1x1_2x1_2x1.jpg: scored",
    ];
    assert_eq!(found, expected);
    let turned =
        here.run(&["detect", cases.join("png_exif6_after_idat.png").to_str().unwrap(), "--format", "json"]);
    assert_eq!(turned.ok().json()["decoding"]["orientation"], 6);
}

#[test]
fn doubts_are_in_the_record_and_on_stderr() {
    let here = Workplace::new();
    let bytes = std::fs::read(here.picture("whole.jpg", 60, 40)).unwrap();
    assert!(here.detect(&["whole.jpg", "--format", "json"]).ok().json()["decoding"].is_null());
    let (data, end) = bytes.split_at(bytes.len() - 2);
    std::fs::write(here.path("padded.jpg"), [data, &[0; 9], end].concat()).unwrap();
    std::fs::write(here.path("open.jpg"), data).unwrap();
    for (name, warning) in [
        ("padded.jpg", "9 bytes among the data belong to no pixel: the file may be damaged"),
        ("open.jpg", "the mark at the end of the file is missing"),
    ] {
        let ran = here.detect(&[name, "--format", "json"]).ok();
        assert_eq!(ran.json()["decoding"]["warnings"], serde_json::json!([warning]));
        assert!(ran.stderr.contains(warning), "{}", ran.stderr);
    }
}
