//! Folders: journal, resuming, shards, filters.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::snapshot::Refusals;
use crate::{Ran, Workplace, support};

/// Records without the fields that differ from run to run.
pub fn steady(text: &str) -> Vec<Value> {
    let record = |line: &str| {
        let mut value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        value.as_object_mut().unwrap().remove("timing_ms");
        value
    };
    text.lines().map(record).collect()
}

impl Workplace {
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn folder(&self, names: &[&str]) {
        for (i, name) in names.iter().enumerate() {
            self.picture(name, 20 + i as u32, 24);
        }
    }

    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command();
        command.arg("detect").arg("--model").arg(support::tiny_model()).args(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

pub fn names(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|l| l["name"].as_str().unwrap()).collect()
}

#[test]
fn a_second_run_scores_only_what_is_new() {
    let here = Workplace::new();
    here.folder(&["in/a.png", "in/b.png", "in/sub/c.png"]);
    std::fs::write(here.path("in/bad.png"), b"no picture").unwrap();
    let run =
        |more: &[&str]| here.detect(&[&["in", "-o", "out", "--format", "jsonl", "--verbose"], more].concat());
    let first = run(&[]);
    assert_eq!(first.code, 2, "{}", first.stderr);
    let journal = here.read("out/results.jsonl");
    assert_eq!(names(&steady(&journal)), ["a.png", "b.png", "bad.png", "sub/c.png"]);
    assert_eq!(steady(&journal)[0]["files"]["overlay"], "a.png.overlay.png");

    // The same again: the same on stdout, files relative to where we are, the journal as it was.
    let second = run(&["--resume"]);
    assert!(second.stderr.contains("3 scored (3 of them before)"), "{}", second.stderr);
    assert_eq!(steady(&second.stdout), steady(&first.stdout));
    assert_eq!(steady(&first.stdout)[0]["files"]["overlay"], "out/a.png.overlay.png");
    assert_eq!(steady(&here.read("out/results.jsonl")), steady(&journal));

    // Another picture under an old name, a mended one, a new one.
    here.picture("in/b.png", 50, 50);
    here.picture("in/bad.png", 30, 30);
    here.picture("in/new.png", 30, 30);
    let third = run(&[]).ok();
    assert!(third.stderr.contains("5 scored (2 of them before)"), "{}", third.stderr);
    let lines = steady(&here.read("out/results.jsonl"));
    assert_eq!(names(&lines), ["a.png", "b.png", "bad.png", "sub/c.png", "new.png"]);
    assert_eq!(lines[1]["size"]["width"], 50);
    assert!(lines.iter().all(|l| l["error"].is_null()));
}

#[test]
fn content_instead_of_time() {
    let here = Workplace::new();
    here.folder(&["in/a.png", "in/b.png"]);
    let run = || here.detect(&["in", "-o", "out", "--hash", "--save", "raw", "--verbose"]).ok().stderr;
    run();
    let content = std::fs::read(here.path("in/a.png")).unwrap();
    assert_eq!(steady(&here.read("out/results.jsonl"))[0]["sha256"], aaclip::files::sha256(&content));
    // Written again: the same bytes.
    std::fs::write(here.path("in/a.png"), content).unwrap();
    here.picture("in/b.png", 40, 40);
    let again = run();
    assert!(again.contains("2 scored (1 of them before)"), "{again}");
}

#[test]
fn other_settings_are_refused_with_the_difference() {
    let here = Workplace::new();
    here.folder(&["in/a.png"]);
    here.detect(&["in", "-o", "out"]).ok();
    let before = here.read("out/results.jsonl");
    let mut refused = Refusals::default();
    for more in [&["--class", "screw"][..], &["--smoothing", "3"], &["--save", "raw"], &["--fit", "keep"]] {
        refused.lines(more, &here.detect(&[&["in", "-o", "out"], more].concat()));
    }
    assert_eq!(here.read("out/results.jsonl"), before);
    here.detect(&["in", "-o", "out", "--class", "screw", "--restart"]).ok();
    assert_eq!(steady(&here.read("out/results.jsonl"))[0]["class"], "screw");
    // Results of unknown settings are not touched.
    std::fs::remove_file(here.path("out/manifest.json")).unwrap();
    refused.lines(&["in", "-o", "out"], &here.detect(&["in", "-o", "out"]));
    insta::assert_snapshot!(refused.0);
    // A picture by itself keeps no journal.
    here.detect(&["in/a.png", "-o", "single"]).ok();
    assert!(!here.path("single/results.jsonl").exists());
}

#[test]
fn shards_are_the_whole() {
    let here = Workplace::new();
    let all: Vec<String> = (0..12).map(|i| format!("in/{}/{i}.png", i % 3)).collect();
    here.folder(&all.iter().map(String::as_str).collect::<Vec<_>>());
    here.detect(&["in", "-o", "whole", "--save", "raw"]).ok();
    let mut parts = Vec::new();
    for part in ["0/3", "1/3", "2/3"] {
        here.detect(&["in", "-o", "parts", "--save", "raw", "--shard", part]).ok();
        let name = format!("parts/results-{}.jsonl", part.replace('/', "-of-"));
        parts.extend(steady(&here.read(&name)));
    }
    parts.sort_by_key(|r| r["name"].as_str().unwrap().to_owned());
    let mut whole = steady(&here.read("whole/results.jsonl"));
    whole.sort_by_key(|r| r["name"].as_str().unwrap().to_owned());
    assert_eq!(parts, whole);
    for name in whole.iter().map(|r| r["files"]["raw"].as_str().unwrap()) {
        let read = |folder: &str| std::fs::read(here.path(folder).join(name)).unwrap();
        assert_eq!(read("parts"), read("whole"));
    }
    assert_eq!(here.detect(&["in", "--shard", "3/3"]).code, 2);
}

#[test]
fn filters_choose_and_output_inside_is_left_out() {
    let here = Workplace::new();
    here.folder(&["in/a.png", "in/b.bmp", "in/old/c.png", "in/new/d.png"]);
    let run = |more: &[&str]| -> Vec<String> {
        let ran = here.detect(&[&["in", "--format", "jsonl"], more].concat()).ok();
        names(&steady(&ran.stdout)).into_iter().map(str::to_owned).collect()
    };
    assert_eq!(run(&["--include", "*.png", "--exclude", "old/"]), ["a.png", "new/d.png"]);
    assert_eq!(run(&["--include", "new/**"]), ["new/d.png"]);
    assert_eq!(run(&["-o", "in/results"]).len(), 4);
    assert_eq!(run(&["-o", "in/results"]).len(), 4);
    let mut refused = Refusals::default();
    for arguments in [&["in", "--include", "*.gif"], &["in", "-o", "in"], &["in", "--exclude", "["]] {
        refused.line(arguments, &here.detect(arguments));
    }
    insta::assert_snapshot!(refused.0);
}

#[test]
fn csv_and_json_lines_say_the_same() {
    let here = Workplace::new();
    here.folder(&["in/a.png"]);
    std::fs::write(here.path("in/b.png"), b"").unwrap();
    let text =
        |format: &str| here.detect(&["in", "-o", "out", "--threshold", "0.5", "--format", format]).stdout;
    let (lines, csv) = (text("jsonl"), text("csv"));
    let mut table = csv::Reader::from_reader(csv.as_bytes());
    let columns = table.headers().unwrap().clone();
    let rows: Vec<BTreeMap<String, String>> = table
        .records()
        .map(|row| columns.iter().map(str::to_owned).zip(row.unwrap().iter().map(str::to_owned)).collect())
        .collect();
    let lines: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!((rows.len(), lines.len()), (2, 2));
    // The second run took the first picture from the journal: the very same numbers.
    for (row, line) in rows.iter().zip(&lines) {
        for (column, text) in row {
            let value = column.split('.').try_fold(line, |v, key| v.get(key)).unwrap_or(&Value::Null);
            let expected = match value {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(*text, expected, "{column}");
        }
    }
    assert_eq!(rows[1]["error.kind"], "empty");
}

/// Everything in `folder` that is a picture must be whole.
fn assert_whole(folder: &Path) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let hidden = path.file_name().unwrap().to_string_lossy().starts_with('.');
        if path.extension().is_some_and(|e| e == "png") && !hidden {
            image::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            count += 1;
        }
    }
    count
}

#[cfg(unix)]
#[test]
fn killed_at_any_moment_it_goes_on() {
    use rand::{RngExt, SeedableRng};
    const PICTURES: usize = 200;
    const KILLS: usize = 50;
    let here = Workplace::new();
    let all: Vec<String> = (0..PICTURES).map(|i| format!("in/{i:03}.png")).collect();
    for name in &all {
        here.picture(name, 12, 12);
    }
    let arguments = ["in", "--save", "heatmap", "--format", "jsonl", "--out"];
    let started = std::time::Instant::now();
    here.detect(&[&arguments[..], &["whole"]].concat()).ok();
    let usual = started.elapsed();
    let whole = here.read("whole/results.jsonl").replace("\"whole/", "\"");

    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let (mut kills, mut before) = (0, 0);
    while kills < KILLS {
        let mut child = here.start(&[&arguments[..], &["out"]].concat());
        // Drained, because a full pipe would block the process.
        let stdout = child.stdout.take().unwrap();
        let drain = std::thread::spawn(move || BufReader::new(stdout).lines().count());
        std::thread::sleep(usual.mul_f64(random.random_range(0.0..0.4)));
        let ended = child.try_wait().unwrap().is_some();
        let _ = child.kill();
        child.wait().unwrap();
        drain.join().unwrap();
        let journal = std::fs::read_to_string(here.path("out/results.jsonl")).unwrap_or_default();
        assert!(journal.is_empty() || journal.ends_with('\n'), "a torn line");
        let lines = steady(&journal).len();
        assert!(lines >= before, "lines were lost: {before} before, {lines} after");
        assert!(assert_whole(&here.path("out")) >= lines);
        before = lines;
        if ended || lines == PICTURES {
            assert_eq!(lines, PICTURES);
            std::fs::remove_dir_all(here.path("out")).unwrap();
            before = 0;
        } else {
            kills += 1;
        }
    }
    here.detect(&[&arguments[..], &["out"]].concat()).ok();
    assert_eq!(steady(&here.read("out/results.jsonl")), steady(&whole));
    assert_eq!(assert_whole(&here.path("out")), PICTURES);
    // Nothing of the killed ones is left over but, perhaps, a file that was never begun again.
    for name in &all {
        let file = format!("{}.heatmap.png", name.trim_start_matches("in/"));
        let read = |folder: &str| std::fs::read(here.path(folder).join(&file)).unwrap();
        assert_eq!(read("out"), read("whole"), "{file}");
    }
}

#[cfg(unix)]
pub fn terminate(child: &Child) {
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_in_good_order() {
    let here = Workplace::new();
    let all: Vec<String> = (0..300).map(|i| format!("in/{i:03}.png")).collect();
    for name in &all {
        here.picture(name, 12, 12);
    }
    let mut child = here.start(&["in", "--save", "raw", "--out", "out", "--format", "jsonl"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    terminate(&child);
    let rest = lines.count();
    let ran = Ran::from(child.wait_with_output().unwrap());
    if rest + 1 < all.len() {
        assert_eq!(ran.code, 130, "{}", ran.stderr);
        assert!(ran.stderr.contains("the same command continues the run"), "{}", ran.stderr);
    }
    assert_eq!(steady(&here.read("out/results.jsonl")).len(), rest + 1);
}

/// The names of the records.
fn named(stdout: &str) -> Vec<String> {
    names(&steady(stdout)).into_iter().map(str::to_owned).collect()
}

#[test]
fn files_given_outright_keep_their_folders() {
    let here = Workplace::new();
    here.folder(&["test/a/001.png", "test/b/001.png"]);
    let run = |inputs: &[&str], out: &str| {
        let ran = here.detect(&[inputs, &["-o", out, "--save", "raw", "--format", "jsonl"]].concat()).ok();
        named(&ran.stdout)
    };
    assert_eq!(run(&["test/a/001.png", "test/b/001.png"], "two"), ["a/001.png", "b/001.png"]);
    assert!(here.path("two/a/001.png.npy").is_file() && here.path("two/b/001.png.npy").is_file());
    assert_eq!(run(&["test/a/001.png"], "one"), ["001.png"]);
}

#[test]
fn masks_of_a_data_set_are_left_out_and_counted() {
    let here = Workplace::new();
    here.folder(&[
        "set/test/bad/1.png",
        "set/ground_truth/bad/1_mask.png",
        "set/ground_truth/good/2_mask.png",
    ]);
    let found = |inputs: &[&str]| {
        let ran = here.detect(&[inputs, &["--format", "jsonl"]].concat()).ok();
        (named(&ran.stdout), ran.stderr)
    };
    let (names, said) = found(&["set"]);
    assert_eq!(names, ["test/bad/1.png"]);
    insta::assert_snapshot!(said);
    let (names, said) = found(&["set/ground_truth"]);
    assert_eq!((names.len(), said.as_str()), (2, ""));
}

#[test]
fn pictures_of_a_folder_are_compared_with_each_other() {
    let here = Workplace::new();
    for i in 0..6 {
        here.picture(&format!("in/{i}.png"), 64, 60 + i);
    }
    let run = |more: &[&str]| {
        here.run(
            &[&["detect", "--model", "builtin", "--image-size", "96", "--format", "jsonl"], more].concat(),
        )
    };
    let all = run(&["in", "--peers", "4", "-o", "out"]).ok().json_lines();
    assert!(all.len() == 6 && all.iter().all(|r| r["method"] == "nearest"));
    // A part of the run has the same results, and the same command continues it; other pictures are another run.
    let part = run(&["in", "--peers", "4", "--shard", "1/2"]).ok().json_lines();
    assert!(part.iter().all(|r| all.iter().any(|a| a["path"] == r["path"] && a["score"] == r["score"])));
    let again = run(&["in", "--peers", "4", "-o", "out"]).ok().json_lines();
    assert!(again.iter().zip(&all).all(|(a, b)| a["score"] == b["score"]));
    let other = run(&["in", "--peers", "3", "-o", "out"]);
    assert!(other.code == 2 && other.stderr.contains("references"), "{}", other.stderr);
    let both = run(&["in", "--peers", "--reference", "in/1.png"]);
    assert!(both.code == 2 && both.stderr.contains("exclude each other"), "{}", both.stderr);
    // One good picture.
    let found = run(&["in", "--reference", "in/0.png"]).ok().json_lines();
    assert!(found.iter().all(|r| r["method"] == "nearest" && r["score"].is_number()));
}
