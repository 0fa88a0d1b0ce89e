//! Runs written as `aaclip detect` writes them, read and shown.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ::image::{Rgb, RgbImage};
use proptest::prelude::*;
use serde_json::{Value, json};

use aaclip::batch::Manifest;
use aaclip::gallery::{DetectRun, Gallery, GallerySummary};
use aaclip::progress::Progress;
use aaclip::{Provenance, Result, files};

/// A folder with `photos/` and a run's folder `out/` beside it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(place.path("out")).unwrap();
        let manifest =
            json!({"schema": 3, "program": "aaclip 0.1.0", "started_in": place.0.path(), "settings": {}});
        place.write("out/manifest.json", manifest.to_string());
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn picture(&self, name: &str, width: u32, height: u32) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, 90])).save(path).unwrap();
    }

    fn results(&self, records: &[Value]) {
        self.write("out/results.jsonl", lines(records));
    }

    fn read(&self) -> Result<DetectRun> {
        DetectRun::read(&self.path("out"))
    }

    fn show(&self) -> (DetectRun, GallerySummary, String) {
        let run = self.read().unwrap();
        let summary = Gallery::of(&run).write(&run, Progress::Silent).unwrap();
        let page = std::fs::read_to_string(self.path("out/report.html")).unwrap();
        assert_eq!(summary.page_bytes, page.len() as u64);
        (run, summary, page)
    }

    fn thumbs(&self) -> BTreeSet<String> {
        let entries = std::fs::read_dir(self.path("out/report-thumbs")).into_iter().flatten();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn lines(records: &[Value]) -> String {
    records.iter().map(|r| format!("{r}\n")).collect()
}

pub fn record(name: &str, score: f64) -> Value {
    json!({
        "schema": 3, "path": format!("photos/{name}"), "name": name, "bytes": 1, "modified": 1, "sha256": null,
        "model": "builtin", "method": "aa-clip", "class": "object", "score": score, "anomalous": score >= 0.5,
        "threshold": 0.5,
        "components": {"image": 0.25, "map_min": 0.5, "map_max": 1.5, "map_mean": 0.75},
        "region_threshold": 0.5,
        "regions": [{"x": 1, "y": 2, "width": 3, "height": 4, "area": 9, "peak": 0.875}],
        "size": {"width": 20, "height": 10}, "image_size": 518, "tiles": 1, "files": {}, "error": null,
        "timing_ms": {"decode": 1, "preprocess": 1, "model": 1, "map": 1, "write": 1, "total": 5},
    })
}

pub fn failure(name: &str, message: &str) -> Value {
    let mut failed = record(name, 0.0);
    for key in ["score", "anomalous", "components", "size", "image_size", "tiles", "timing_ms"] {
        failed[key] = Value::Null;
    }
    failed["error"] = json!({"kind": "image", "message": message});
    failed
}

/// A record without a stamp: its picture is not a file of a folder.
fn unread(mut record: Value) -> Value {
    record["bytes"] = Value::Null;
    record
}

/// The data inside a page, which has two scripts and one style and is otherwise well-formed.
fn data(page: &str) -> Value {
    let opening = r#"<script id="data" type="application/json">"#;
    assert_eq!(page.matches("<script").count(), 2);
    assert_eq!(page.matches("</script").count(), 2);
    let (before, rest) = page.split_once(opening).unwrap();
    let (data, rest) = rest.split_once("</script>").unwrap();
    let (_, after) = rest.split_once("</script>").unwrap();
    let style = before.find("<style>").unwrap()..before.find("</style>").unwrap();
    let void = regex::Regex::new(r"<(meta|link|img|input)\b([^>]*)>").unwrap();
    let bare = format!("{}{}{after}", &before[..style.start], &before[style.end + "</style>".len()..]);
    let xml = void.replace_all(&bare, "<$1$2/>").replace(" hidden>", " hidden=\"\">");
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    let document = roxmltree::Document::parse_with_options(&xml, options).unwrap();
    for attribute in document.descendants().flat_map(|n| n.attributes()) {
        assert!(!attribute.name().starts_with("on") && attribute.name() != "style", "{attribute:?}");
    }
    for unsafe_character in ['<', '>', '&', '\u{2028}', '\u{2029}'] {
        assert!(!data.contains(unsafe_character));
    }
    serde_json::from_str(data).unwrap()
}

#[test]
fn the_last_whole_record_of_a_name_counts() {
    let place = Place::new();
    let records = [failure("a.png", "not there yet"), record("b.png", 0.2), record("a.png", 0.9)];
    let mut text = lines(&records).replacen('\n', "\r\n", 1);
    text.push('\n');
    text.push_str(&record("c.png", 0.1).to_string());
    place.write("out/results.jsonl", &text);
    let run = place.read().unwrap();
    let found: Vec<_> = run.pictures.iter().map(|p| (p.name(), p.score(), p.anomalous())).collect();
    let found: Vec<_> = found.iter().map(|(name, score, verdict)| (&**name, *score, *verdict)).collect();
    assert_eq!(found, [("a.png", Some(0.9), Some(true)), ("b.png", Some(0.2), Some(false))]);
    assert_eq!(run.pictures[0].file, place.path("photos/a.png"));
    // With its end the last one counts as well.
    place.write("out/results.jsonl", text + "\n");
    assert_eq!(place.read().unwrap().pictures.len(), 3);
}

#[test]
fn shards_are_one_run_and_start_where_they_were_started() {
    let place = Place::new();
    for shard in 0..2 {
        let name = format!("{shard}.png");
        place.write(&format!("out/results-{shard}-of-2.jsonl"), lines(&[record(&name, 0.3)]));
        let manifest =
            Manifest { started_in: format!("/node{shard}").into(), ..Manifest::new(Provenance::default()) };
        let manifest = serde_json::to_string(&manifest).unwrap();
        place.write(&format!("out/manifest-{shard}-of-2.json"), manifest);
    }
    for other in ["results-a-of-2.jsonl", "results-1.jsonl", "results-1-of-2.jsonl.bak", "my-results.jsonl"] {
        place.write(&format!("out/{other}"), "not json\n");
    }
    let run = place.read().unwrap();
    let files: Vec<_> = run.pictures.iter().map(|p| p.file.as_path()).collect();
    assert_eq!(files, [Path::new("/node0/photos/0.png"), Path::new("/node1/photos/1.png")]);
}

#[test]
fn what_cannot_be_shown_is_said() {
    let old = json!({"schema": 1, "path": "a.png", "score": 0.5});
    let no_name = json!({"schema": 3, "path": "a.png"});
    let half = &record("a.png", 0.5).to_string()[..40];
    let manifest =
        |text: &str| vec![("results.jsonl", lines(&[record("a", 0.5)])), ("manifest.json", text.to_owned())];
    let results = |text: String| vec![("results.jsonl", text)];
    let cases = [
        (vec![], "has no results.jsonl: `aaclip detect FOLDER -o"),
        (results(String::new()), "no finished picture yet"),
        (results(record("a", 0.5).to_string()), "no finished picture yet"),
        (results(lines(&[record("a", 0.5), old])), "line 2: the record has schema 1, expected schema 3"),
        (results(lines(&[json!({"a": 1})])), "line 1: missing field `schema`"),
        (results(format!("{half}\n{}\n", record("b", 0.5))), "line 1: EOF while parsing a string"),
        (results(lines(&[no_name])), "line 1: missing field `name`"),
        (results("\u{0}\u{0}\n".to_owned()), "line 1: expected value, column 1"),
        (results("[".repeat(100_000) + "\n"), "line 1: "),
        (manifest("{"), "manifest.json cannot be used: EOF"),
        (manifest("{}"), "manifest.json cannot be used: missing field"),
        (
            manifest(r#"{"schema": 1, "program": "p", "started_in": "/", "settings": {}}"#),
            "schema 1, expected 3",
        ),
    ];
    for (files, expected) in cases {
        let place = Place::new();
        for (name, text) in files {
            place.write(&format!("out/{name}"), text);
        }
        let error = place.read().unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("out"), "{error}\nexpected {expected}");
    }
    assert!(
        DetectRun::read(Path::new("/nowhere/at all")).unwrap_err().to_string().contains("/nowhere/at all")
    );
}

#[test]
fn a_page_is_only_written_where_one_belongs() {
    let place = Place::new();
    place.results(&[record("a.png", 0.5)]);
    let run = place.read().unwrap();
    for name in ["out/results.jsonl", "out/.html", "out/page", ".."] {
        let gallery = Gallery { page: place.path(name), ..Gallery::of(&run) };
        let error = gallery.write(&run, Progress::Silent).unwrap_err().to_string();
        assert!(error.contains("must end in .html"), "{error}");
    }
    place.write("out/file-thumbs", "mine");
    let gallery = Gallery { page: place.path("out/file.html"), ..Gallery::of(&run) };
    let error = gallery.write(&run, Progress::Silent).unwrap_err().to_string();
    assert!(error.contains("file-thumbs"), "{error}");
    std::fs::create_dir(place.path("out/folder.html")).unwrap();
    let gallery = Gallery { page: place.path("out/folder.html"), ..Gallery::of(&run) };
    assert!(gallery.write(&run, Progress::Silent).unwrap_err().to_string().contains("folder.html"));
    assert!(place.read().is_ok());
}

#[test]
fn thumbnails_are_made_once_and_follow_their_pictures() {
    let place = Place::new();
    place.picture("photos/a.png", 600, 200);
    place.picture("photos/sub/line.png", 3000, 2);
    place.picture("out/a.png.overlay.png", 600, 200);
    place.picture("out/a.png.heatmap.png", 600, 200);
    place.picture("out/gone.png.overlay.png", 64, 48);
    let with = |name: &str, files: Value| {
        let mut record = record(name, 0.7);
        record["files"] = files;
        record
    };
    place.results(&[
        with(
            "a.png",
            json!({"overlay": "a.png.overlay.png", "heatmap": "a.png.heatmap.png", "raw": "a.npy"}),
        ),
        with("sub/line.png", json!({"overlay": "not/there.png"})),
        unread(with("gone.png", json!({"overlay": "gone.png.overlay.png"}))),
        unread(record("never.png", 0.1)),
    ]);
    place.write("out/report-thumbs/mine.jpg", "mine");
    let (_, summary, page) = place.show();
    assert_eq!((summary.made, summary.without_thumbnail, summary.shown), (4, 1, 4));
    let rows = data(&page)["pictures"].clone();
    let row = |name: &str| rows.as_array().unwrap().iter().find(|r| r[0] == name).unwrap().clone();
    assert!(row("a.png")[6].is_string() && row("a.png")[7].is_string());
    assert!(row("gone.png")[6].is_null() && row("gone.png")[7].is_string());
    let links = |name: &str| row(name)[8].clone();
    assert!(
        links("gone.png")[1].is_null() && !links("gone.png")[2].is_null() && !links("a.png")[3].is_null()
    );
    let places = data(&page)["places"].clone();
    let at = links("a.png")[1].as_u64().unwrap() as usize;
    assert_eq!(places[at], json!(["../photos/", ""]));

    let first = place.thumbs();
    assert_eq!(first.len(), 5);
    for thumb in first.iter().filter(|name| *name != "mine.jpg") {
        let (width, height) = ::image::image_dimensions(place.path("out/report-thumbs").join(thumb)).unwrap();
        assert!(width.max(height) <= Gallery::THUMBNAIL && width.min(height) >= 1);
        assert!([(256, 85), (256, 1), (64, 48)].contains(&(width, height)), "{width} {height}");
    }
    let (_, summary, again) = place.show();
    assert_eq!((summary.made, place.thumbs() == first, again == page), (0, true, true));

    // A changed picture gets a new thumbnail, and the old one goes.
    place.picture("photos/a.png", 601, 200);
    let (_, summary, _) = place.show();
    let now = place.thumbs();
    assert_eq!((summary.made, now.len(), now.difference(&first).count()), (1, 5, 1));
    assert!(now.contains("mine.jpg"));
}

#[test]
fn a_grey_map_is_painted_over_its_picture() {
    let place = Place::new();
    place.picture("photos/a.png", 60, 40);
    let left_is_hot =
        ::image::GrayImage::from_fn(30, 20, |x, _| ::image::Luma([if x < 15 { 255 } else { 0 }]));
    for name in ["a", "gone"] {
        left_is_hot.save(place.path(&format!("out/{name}.png.map.png"))).unwrap();
    }
    let with = |name: &str, damaged: f64| {
        let mut record = record(name, 0.7);
        record["files"] = json!({"map": format!("{name}.map.png")});
        record["map_probability"] = json!({"min": 0.1, "max": 0.8});
        record["map_range"] = json!({"good": 0.5, "damaged": damaged});
        record
    };
    place.results(&[with("a.png", 0.8), unread(with("gone.png", 0.8)), unread(with("no map.png", 0.8))]);
    let (_, summary, page) = place.show();
    assert_eq!((summary.made, summary.without_thumbnail), (3, 1));
    let data = data(&page);
    let row = &data["pictures"][0];
    assert_eq!((&row[0], &row[13]), (&json!("a.png"), &json!([0.1, 0.8])));
    assert!(row[8][4].is_number() || row[8][4].is_string());
    assert_eq!(data["judged"][0].as_array().unwrap()[4..], [json!(0.5), json!(0.8), json!(0.5)]);
    let thumb = |at: usize| {
        let name = data["pictures"][0][at].as_str().unwrap();
        ::image::open(place.path(&format!("out/report-thumbs/{name}.jpg"))).unwrap().to_rgb8()
    };
    let (picture, heat) = (thumb(6), thumb(7));
    let far = |x, y| {
        let pairs = picture.get_pixel(x, y).0.into_iter().zip(heat.get_pixel(x, y).0);
        pairs.map(|(a, b)| a.abs_diff(b)).max().unwrap()
    };
    assert!(far(10, 20) > 100 && far(50, 20) < 10, "{} {}", far(10, 20), far(50, 20));
    // Another scale is another thumbnail.
    let first = place.thumbs();
    place.results(&[with("a.png", 0.9), unread(with("gone.png", 0.8)), unread(with("no map.png", 0.8))]);
    let (_, summary, _) = place.show();
    assert_eq!((summary.made, place.thumbs().difference(&first).count(), place.thumbs().len()), (1, 1, 3));
}

#[test]
fn removed_pictures_leave_the_page() {
    let place = Place::new();
    place.picture("photos/a.png", 20, 10);
    let records = [record("a.png", 0.9), record("sub/gone.png", 0.8), failure("bad.png", "damaged")];
    place.results(&records);
    let (run, summary, page) = place.show();
    assert_eq!((run.removed, summary.scored, summary.failed), (2, 1, 0));
    assert!(page.contains("2 pictures were removed from the folder since the run"));
    // Never a file, so it was not removed.
    place.results(&[record("a.png", 0.9), unread(failure("typo.png", "no such file"))]);
    assert_eq!(place.read().unwrap().removed, 0);
    // An emptied or a moved folder: the page is what remains.
    place.results(&records);
    std::fs::remove_file(place.path("photos/a.png")).unwrap();
    assert_eq!(place.read().unwrap().removed, 0);
    std::fs::remove_dir(place.path("photos")).unwrap();
    let (run, _, page) = place.show();
    assert!(run.removed == 0 && run.pictures.len() == 3 && !page.contains("removed from the folder"));
}

#[test]
fn nothing_a_record_says_leads_out_or_becomes_markup() {
    let place = Place::new();
    place.picture("secret.png", 40, 40);
    let evil = "</script><script>document.title='hacked'</script><img src=x onerror=document.title='hacked'>";
    let names = [
        evil.to_owned(),
        "../../secret.png".to_owned(),
        "/etc/passwd".to_owned(),
        "x".repeat(20_000),
        "javascript:alert(1)//.png".to_owned(),
        "//example.org/a.png".to_owned(),
        "..\\..\\a.png".to_owned(),
        "\u{2028}\u{2029}\u{202e}gpj.exe\u{0}\u{1b}[31m\r\n.png".to_owned(),
        "caf\u{e9} 100%25 #1?.png".to_owned(),
        "\u{fffd}\u{fffd}.png".to_owned(),
        "<!--.png".to_owned(),
        "]]>&amp;\"'`{}\\u003c.png".to_owned(),
        String::new(),
        "con/../nul:".to_owned(),
    ];
    let records: Vec<Value> = names
        .iter()
        .map(|name| {
            let mut record = record(name, 0.75);
            record["path"] = json!(name);
            for key in ["model", "method", "class"] {
                record[key] = json!(evil);
            }
            record["components"][evil] = json!(evil);
            record["files"] =
                json!({"overlay": "../secret.png", "heatmap": place.path("secret.png"), evil: evil});
            unread(record)
        })
        .chain([unread(failure("broken", evil))])
        .collect();
    place.results(&records);
    let before: Vec<_> =
        walkdir::WalkDir::new(place.0.path()).into_iter().map(|e| e.unwrap().into_path()).collect();
    let (_, summary, page) = place.show();
    let new = walkdir::WalkDir::new(place.0.path()).into_iter().map(|e| e.unwrap().into_path());
    let new: Vec<_> = new.filter(|p| !before.contains(p)).collect();
    // "../../secret.png" is not a picture of the run, and files of the run are in its folder: no thumbnail is made.
    assert_eq!(new, [place.path("out/report.html")]);
    assert_eq!((summary.shown, summary.without_thumbnail, summary.failed), (15, 15, 1));
    let data = data(&page);
    let rows = data["pictures"].as_array().unwrap();
    let shown: BTreeSet<&str> = rows.iter().map(|r| r[0].as_str().unwrap()).collect();
    assert!(names.iter().all(|name| shown.contains(name.as_str())));
    for row in rows {
        assert!(row[8][2].is_null() && row[8][3].is_null(), "{row}");
    }
    assert!(!page.contains("<script>document") && !page.contains("<img src=x"));

    // For a look at it in a browser: tests/reference/open_gallery.py --only-open.
    if let Some(folder) = std::env::var_os("AACLIP_GALLERY_OUT") {
        files::write_atomic(&Path::new(&folder).join("hostile.html"), page.as_bytes()).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn names_that_are_no_text_are_told_apart() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    let of = |bytes: &[u8]| {
        let name = String::from_utf8_lossy(bytes).into_owned();
        place.picture("photos/plain.png", 30, 20);
        std::fs::rename(place.path("photos/plain.png"), place.path("photos").join(OsStr::from_bytes(bytes)))
            .unwrap();
        place.picture("out/plain.png", 30, 20);
        let overlay = [bytes, b".overlay.png"].concat();
        std::fs::rename(place.path("out/plain.png"), place.path("out").join(OsStr::from_bytes(&overlay)))
            .unwrap();
        let mut record = record(&name, 0.5);
        record["name_base64"] = json!(STANDARD.encode(bytes));
        record["files"] = json!({"overlay": format!("{name}.overlay.png")});
        record
    };
    place.results(&[of(b"\xff.png"), of(b"\xfe.png")]);
    let (_, summary, page) = place.show();
    assert_eq!((summary.shown, summary.made, place.thumbs().len()), (2, 4, 4));
    let rows = data(&page)["pictures"].clone();
    // No address can be written for these; the thumbnails replace them.
    assert!(
        rows.as_array().unwrap().iter().all(|r| r[6].is_string() && r[7].is_string() && r[8][1].is_null())
    );
}

#[test]
fn a_page_holds_the_highest_scores_and_counts_all() {
    let place = Place::new();
    let mut records: Vec<Value> =
        (0..100).map(|i| record(&format!("{i}.png"), f64::from(i) / 100.0)).collect();
    records.extend((0..20).map(|i| failure(&format!("bad {i}.png"), "damaged")));
    place.results(&records);
    let run = place.read().unwrap();
    let gallery = Gallery { most: 40, title: Some("Line <3>".into()), ..Gallery::of(&run) };
    let summary = gallery.write(&run, Progress::Silent).unwrap();
    assert_eq!((summary.scored, summary.anomalous, summary.failed, summary.shown), (100, 50, 20, 40));
    let page = std::fs::read_to_string(&gallery.page).unwrap();
    assert!(page.contains("This page shows 40 of 120") && page.contains("<title>Line &lt;3&gt;</title>"));
    let data = data(&page);
    let scores: Vec<_> = data["pictures"].as_array().unwrap().iter().map(|r| r[1].as_f64()).collect();
    let expected: Vec<_> = (70..100).rev().map(|i| Some(f64::from(i) / 100.0)).chain([None; 10]).collect();
    assert_eq!(scores, expected);
    let rest = data["rest"].as_array().unwrap();
    let sum = |at: usize| rest.iter().map(|bin| bin[at].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum(1), sum(2)), (70, 20));
}

#[test]
fn without_a_threshold_and_with_several_there_is_no_line() {
    let place = Place::new();
    let with = |name: &str, threshold: Value| {
        let mut record = record(name, 0.4);
        record["threshold"] = threshold;
        record
    };
    for (second, expected, said) in [
        (json!(0.5), json!(0.5), "0.5"),
        (json!(0.6), json!(null), "several"),
        (json!(null), json!(null), "several"),
    ] {
        place.results(&[with("a", json!(0.5)), with("b", second)]);
        let (_, _, page) = place.show();
        assert_eq!(data(&page)["threshold"], expected);
        assert!(page.contains(&format!("<dt>Threshold</dt><dd>{said}</dd>")), "{said}");
    }
    place.results(&[with("a", json!(null))]);
    assert!(place.show().2.contains("<dt>Threshold</dt><dd>none</dd>"));
}

#[test]
fn ten_thousand_pictures_make_a_small_page() {
    let place = Place::new();
    let record = |i: usize| {
        let mut record =
            record(&format!("line-3/2026-01-{:02}/part-{i:06}.jpg", i % 28), (i % 977) as f64 / 977.0);
        record["regions"] = (0..i % 5).map(|r| json!({"x": r * 100, "y": i % 640, "width": 120, "height": 80, "area": 7000 + r, "peak": 0.8 + r as f64 * 0.0123})).collect();
        record
    };
    place.results(&(0..10_000).map(record).collect::<Vec<_>>());
    let (_, summary, page) = place.show();
    assert_eq!(summary.shown, 10_000);
    println!("{} bytes", page.len());
    // Thumbnails, which are not here, add 40 bytes a picture.
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
}

/// A record whose texts and score are anything.
fn any_record() -> impl Strategy<Value = String> {
    ("\\PC{0,9}", "\\PC{0,9}", any::<f32>()).prop_map(|(name, path, score)| {
        let mut record = record(&name, 0.5);
        record["path"] = json!(path);
        record["score"] = json!(score);
        record.to_string()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_bytes_are_an_error_or_a_page(
        lines in prop::collection::vec(prop_oneof!["\\PC{0,40}", any_record(), any_record()], 0..4),
    ) {
        let place = Place::new();
        place.write("out/results.jsonl", lines.join("\n") + "\n");
        if let Ok(run) = place.read() {
            let summary = Gallery::of(&run).write(&run, Progress::Silent).unwrap();
            prop_assert_eq!(summary.shown, run.pictures.len());
            data(&std::fs::read_to_string(place.path("out/report.html")).unwrap());
        }
    }
}
