//! Other thresholds and colours over a finished folder: judged again, not scored again.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::Workplace;
use crate::batch::{names, steady};

/// Every kind of file that depends on thresholds or colours, and what it is made from.
const SAVED: &str = "heatmap,overlay,mask,map";

/// The files of a folder by their names, but for its journal and manifest, and what a killed run left of them.
fn painted(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_file() && !name.contains("json") && !name.starts_with('.') {
            found.insert(name, std::fs::read(&path).unwrap());
        }
    }
    found
}

/// A workplace with pictures, scored into `out`, and a threshold file.
fn scored(more: &[&str]) -> Workplace {
    let here = Workplace::new();
    here.folder(&["in/a.png", "in/b.png", "in/c.png", "in/d.png"]);
    here.detect(&[&["in", "-o", "out", "--save", SAVED], more].concat()).ok();
    here
}

impl Workplace {
    fn level(&self, share: f64) -> String {
        let ends = steady(&self.read("out/results.jsonl"));
        let at = |end: &str| ends[0]["map_probability"][end].as_f64().unwrap();
        (at("min") + share * (at("max") - at("min"))).to_string()
    }

    /// A threshold file of this model with levels within the maps of the pictures.
    fn threshold_file(&self) -> String {
        let model = crate::support::tiny_model().to_str().unwrap();
        self.run(&["calibrate", "in", "-o", "threshold.json", "--model", model, "--quiet"]).ok();
        let mut file: Value = serde_json::from_str(&self.read("threshold.json")).unwrap();
        let level = |share: f64| self.level(share).parse::<f64>().unwrap();
        file["classes"]["object"]["map"] =
            json!({"range": {"good": level(0.5), "damaged": level(0.9)}, "region_threshold": level(0.6)});
        std::fs::write(self.path("threshold.json"), file.to_string()).unwrap();
        "threshold.json".to_owned()
    }

    /// Runs in `out` again, and in a new folder, with these settings: both must be the same to the byte.
    #[track_caller]
    fn same_as_fresh(&self, more: &[&str], verbose: &str) {
        let run = |out: &str| {
            let arguments = ["in", "-o", out, "--save", SAVED, "--format", "jsonl", "--verbose"];
            self.detect(&[&arguments[..], more].concat()).ok()
        };
        let again = run("out");
        assert!(again.stderr.contains(verbose), "{more:?}: {}", again.stderr);
        let _ = std::fs::remove_dir_all(self.path("fresh"));
        let fresh = run("fresh");
        assert_eq!(steady(&again.stdout), steady(&fresh.stdout.replace("\"fresh/", "\"out/")), "{more:?}");
        assert_eq!(steady(&self.read("out/results.jsonl")), steady(&self.read("fresh/results.jsonl")));
        assert!(painted(&self.path("out")) == painted(&self.path("fresh")), "{more:?}: files differ");
        assert_eq!(painted(&self.path("out")).len(), 16);
    }
}

#[test]
fn judged_again_is_as_scored_again() {
    let here = scored(&[]);
    let file = here.threshold_file();
    let (low, high) = (here.level(0.3), here.level(0.8));
    let judged = "4 scored (4 of them before, 4 of those judged again)";
    here.same_as_fresh(&["--threshold", "0.5"], judged);
    here.same_as_fresh(&["--threshold", "0.5"], "4 scored (4 of them before)");
    here.same_as_fresh(&["--threshold", "0", "--region-threshold", &low], judged);
    let many = steady(&here.read("out/results.jsonl"));
    assert!(many.iter().any(|r| !r["regions"].as_array().unwrap().is_empty()));
    here.same_as_fresh(&["--region-threshold", &high], judged);
    here.same_as_fresh(&["--scale", "auto"], judged);
    here.same_as_fresh(&["--threshold", &file], judged);
    here.same_as_fresh(&["--threshold", &file, "--scale", "auto"], judged);
    here.same_as_fresh(&[], judged);
    // What was deleted is painted again, and a map scored again.
    std::fs::remove_file(here.path("out/a.png.overlay.png")).unwrap();
    std::fs::remove_file(here.path("out/b.png.mask.png")).unwrap();
    std::fs::remove_file(here.path("out/c.png.map.png")).unwrap();
    here.same_as_fresh(&[], "4 scored (3 of them before, 2 of those judged again)");
    // A map that is not this picture's.
    std::fs::write(here.path("out/d.png.map.png"), b"no picture").unwrap();
    here.same_as_fresh(&["--region-threshold", &low], "4 scored (3 of them before, 3 of those judged again)");
}

#[test]
fn without_a_map_it_is_scored_again() {
    let here = Workplace::new();
    here.folder(&["in/a.png", "in/b.png"]);
    let run = |more: &[&str]| {
        here.detect(&[&["in", "-o", "out", "--save", "heatmap", "--verbose"], more].concat()).ok().stderr
    };
    run(&[]);
    let said = run(&["--threshold", "0.5"]);
    assert!(said.contains("2 scored (2 of them before, 2 of those judged again)"), "{said}");
    let said = run(&["--scale", "auto"]);
    assert!(said.contains("2 scored, "), "{said}");
    assert_eq!(here.read("out/results.jsonl").lines().count(), 2);
}

#[test]
fn by_content_in_parts_and_from_another_folder() {
    let here = scored(&["--hash"]);
    let content = std::fs::read(here.path("in/a.png")).unwrap();
    std::fs::write(here.path("in/a.png"), content).unwrap();
    let ran = here.detect(&["in", "-o", "out", "--save", SAVED, "--hash", "--threshold", "0.4", "--verbose"]);
    assert!(ran.stderr.contains("4 of those judged again"), "{}", ran.stderr);

    for threshold in ["0.4", "0.6"] {
        for part in ["0/2", "1/2"] {
            let part = ["in", "-o", "parts", "--shard", part, "--threshold", threshold, "--save", SAVED];
            here.detect(&part).ok();
        }
    }
    let lines: Vec<Value> = ["0", "1"]
        .iter()
        .flat_map(|i| steady(&here.read(&format!("parts/results-{i}-of-2.jsonl"))))
        .collect();
    assert_eq!(lines.len(), 4);
    assert!(lines.iter().all(|line| line["threshold"].as_f64().unwrap() as f32 == 0.6));

    std::fs::create_dir(here.path("elsewhere")).unwrap();
    let mut command = here.command();
    command
        .current_dir(here.path("elsewhere"))
        .args(["detect", "../in", "-o", "../out", "--hash", "--model"]);
    command.arg(crate::support::tiny_model()).args(["--save", SAVED, "--scale", "auto", "--format", "jsonl"]);
    let ran = crate::Ran::from(command.output().unwrap()).ok();
    assert_eq!(steady(&ran.stdout)[0]["files"]["overlay"], "../out/a.png.overlay.png");
    let kept = steady(&here.read("out/results.jsonl"));
    assert_eq!(names(&kept), ["a.png", "b.png", "c.png", "d.png"]);
    assert!(here.path(kept[0]["path"].as_str().unwrap()).is_file(), "{}", kept[0]);
    assert_eq!(
        (&kept[0]["files"]["overlay"], &kept[0]["stretched"]),
        (&"a.png.overlay.png".into(), &true.into())
    );
}

/// Killed while it judges: whatever settings come next, records and files belong together.
#[cfg(unix)]
#[test]
fn killed_while_it_judges() {
    use rand::{RngExt, SeedableRng};
    const KILLS: usize = 12;
    let here = Workplace::new();
    let all: Vec<String> = (0..40).map(|i| format!("in/{i:03}.png")).collect();
    for name in &all {
        here.picture(name, 60, 60);
    }
    let arguments = ["in", "--save", SAVED, "--format", "jsonl", "--out"];
    let settings = [["--scale", "fixed"], ["--scale", "auto"]];
    let folders = ["fixed", "auto"];
    for (folder, setting) in folders.iter().zip(&settings) {
        here.detect(&[&arguments[..], &[folder], setting].concat()).ok();
    }
    here.detect(&[&arguments[..], &["out"]].concat()).ok();
    let started = std::time::Instant::now();
    here.detect(&[&arguments[..], &["out"], &settings[1]].concat()).ok();
    let usual = started.elapsed();
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(3);
    for kill in 0..KILLS {
        let mut child = here.start(&[&arguments[..], &["out"], &settings[kill % 2], &["--quiet"]].concat());
        let stdout = child.stdout.take().unwrap();
        let drain = std::thread::spawn(move || std::io::read_to_string(stdout).map_or(0, |text| text.len()));
        std::thread::sleep(usual.mul_f64(random.random_range(0.2..1.0)));
        let _ = child.kill();
        child.wait().unwrap();
        drain.join().unwrap();
        // Every file that a record names is of its settings.
        for record in last_records(&here.read("out/results.jsonl")).values() {
            let folder = folders[usize::from(record["stretched"] == true)];
            for file in record["files"].as_object().unwrap().values().map(|file| file.as_str().unwrap()) {
                let read = |folder: &str| std::fs::read(here.path(folder).join(file)).ok();
                let there = read("out");
                assert!(there.is_none() || there == read(folder), "{file}, {folder}");
            }
        }
    }
    for (folder, setting) in folders.iter().zip(&settings) {
        here.detect(&[&arguments[..], &["out"], setting].concat()).ok();
        assert_eq!(
            steady(&here.read("out/results.jsonl")),
            steady(&here.read(&format!("{folder}/results.jsonl")))
        );
        assert!(painted(&here.path("out")) == painted(&here.path(folder)), "{folder}");
    }
}

/// The last record of each name.
#[cfg(unix)]
fn last_records(journal: &str) -> BTreeMap<String, Value> {
    let whole = &journal[..journal.rfind('\n').map_or(0, |end| end + 1)];
    steady(whole).into_iter().map(|record| (record["name"].as_str().unwrap().to_owned(), record)).collect()
}

/// The colours of a run over many pictures follow a sample of them, once.
#[test]
fn colours_of_a_run_are_measured_once() {
    let here = Workplace::new();
    let files: Vec<String> = (0..20).map(|i| format!("in/{i:02}.png")).collect();
    here.folder(&files.iter().map(String::as_str).collect::<Vec<_>>());
    let run = |out: &str, more: &[&str]| {
        here.detect(&[&["in", "-o", out, "--format", "jsonl", "--verbose"], more].concat()).ok()
    };
    let range = |out: &str| -> Value {
        serde_json::from_str::<Value>(&here.read(&format!("{out}/manifest.json"))).unwrap()["map_range"]
            .clone()
    };
    let first = run("out", &[]);
    assert!(first.stderr.contains("no levels are known"), "{}", first.stderr);
    let measured = range("out");
    assert!(measured["good"].as_f64().unwrap() < measured["damaged"].as_f64().unwrap());
    let records = steady(&first.stdout);
    assert_eq!(records.len(), 20);
    assert!(records.iter().all(|record| record["map_range"] == measured));
    assert_eq!(here.read("out/results.jsonl").lines().count(), 20);
    // The sample's files were painted before the range was known, and again with it.
    let before = painted(&here.path("out"));
    for name in before.keys().filter(|name| !name.ends_with(".map.png")) {
        std::fs::remove_file(here.path("out").join(name)).unwrap();
    }
    run("out", &[]);
    assert!(painted(&here.path("out")) == before);
    // All parts of a run have one range.
    run("part", &["--shard", "0/2"]);
    let manifest: Value = serde_json::from_str(&here.read("part/manifest-0-of-2.json")).unwrap();
    assert_eq!(manifest["map_range"], measured);
    // A part writes no files of the others, whatever it measured colours on.
    let own = steady(&here.read("part/results-0-of-2.jsonl")).len();
    let maps = painted(&here.path("part")).into_keys().filter(|name| name.ends_with(".map.png")).count();
    assert!(maps == own && own < 20, "{maps} {own}");
    // Later runs keep it, whatever was added.
    here.folder(&["in/20.png", "in/21.png"]);
    let later = run("out", &[]);
    assert!(!later.stderr.contains("no levels are known"), "{}", later.stderr);
    assert_eq!((range("out"), steady(&later.stdout).len()), (measured, 22));
}
