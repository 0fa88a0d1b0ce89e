//! What a run passes over is said, hidden names are left out, and names with special characters work.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::batch::terminate;
use crate::{Workplace, support};

/// A folder with pictures, droppings of systems and programs, and files of other kinds.
fn crowded(here: &Workplace) {
    here.picture("in/p.png", 12, 12);
    for name in
        ["in/._p.png", "in/.DS_Store", "in/Thumbs.db", "in/x.xyz", "in/y.XYZ", "in/a.png.bak", "in/LICENSE"]
    {
        std::fs::write(here.path(name), b"\0\x05\x16\x07").unwrap();
    }
    let folders =
        [".~tmp~", ".Trash-1000/files", "@eaDir", ".ipynb_checkpoints", "__MACOSX", "sub/$RECYCLE.BIN"];
    folders.iter().for_each(|folder| drop(here.picture(&format!("in/{folder}/q.png"), 12, 12)));
    here.picture("in/a.png.mask.png", 12, 12);
    here.picture("in/masks/1.png", 12, 12);
}

const SAID: &str = "passed over: 3 hidden files, 6 hidden folders, 4 with other endings (.bak, .xyz, none), \
                    1 result of this program";

fn scored(stdout: &str) -> Vec<&str> {
    stdout.lines().filter_map(|line| line.split_once("  ")).map(|(_, name)| name).collect()
}

#[test]
fn a_folder_run_says_what_it_passed_over_and_does_not_fail() {
    let here = Workplace::new();
    crowded(&here);
    let ran = here.detect(&["in", "-o", "out"]).ok();
    assert_eq!(scored(&ran.stdout), ["in/p.png"]);
    assert!(
        ran.stderr.contains(SAID) && ran.stderr.contains("left out 1 file in in/masks"),
        "{}",
        ran.stderr
    );
    let manifest = || -> Value { serde_json::from_str(&here.read("out/manifest.json")).unwrap() };
    let passed = &manifest()["passed_over"];
    assert_eq!((&passed["hidden_files"], &passed["hidden_folders"]), (&3.into(), &6.into()));
    assert_eq!((&passed["other_endings"][".xyz"], &passed["masks"]), (&2.into(), &1.into()));
    // The manifest tells of the latest run.
    std::fs::remove_file(here.path("in/x.xyz")).unwrap();
    here.detect(&["in", "-o", "out"]).ok();
    assert_eq!(manifest()["passed_over"]["other_endings"][".xyz"], 1);
    // Patterns exclude without a word; --quiet is silent.
    let ran = here.detect(&["in", "--exclude", "*.xyz", "--exclude", "*.XYZ", "--exclude", "masks"]).ok();
    assert!(ran.stderr.contains("2 with other endings (.bak, none)") && !ran.stderr.contains("left out"));
    assert_eq!(here.detect(&["in", "-q"]).ok().stderr, "");
    let calibrated = here.run(&["calibrate", "in", "-o", "t.json"]).ok();
    assert!(
        calibrated.stderr.contains("passed over: 3 hidden files, 6 hidden folders"),
        "{}",
        calibrated.stderr
    );
}

#[test]
fn hidden_names_are_taken_on_request_and_files_given_outright_always() {
    let here = Workplace::new();
    crowded(&here);
    std::fs::remove_file(here.path("in/._p.png")).unwrap();
    let ran = here.detect(&["in", "--hidden"]).ok();
    let taken = scored(&ran.stdout);
    assert_eq!((taken.len(), taken[0]), (7, "in/.Trash-1000/files/q.png"), "{taken:?}");
    assert!(!ran.stderr.contains("hidden"), "{}", ran.stderr);
    here.picture("in/.h.png", 12, 12);
    assert_eq!(scored(&here.detect(&["in/.h.png", "in/.~tmp~/q.png"]).ok().stdout).len(), 2);
    // A folder given outright is searched whatever its name; a pattern is that of a shell.
    assert_eq!(scored(&here.detect(&["in/@eaDir"]).ok().stdout), ["in/@eaDir/q.png"]);
    assert_eq!(
        scored(&here.detect(&["in/*.png", "--hidden"]).ok().stdout),
        ["in/.h.png", "in/a.png.mask.png", "in/p.png"]
    );
    assert_eq!(scored(&here.detect(&["in/*.png"]).ok().stdout), ["in/a.png.mask.png", "in/p.png"]);
}

#[cfg(unix)]
#[test]
fn a_watch_says_it_at_the_start_and_what_came_at_the_end() {
    let here = Workplace::new();
    here.picture("in/p.png", 12, 12);
    std::fs::write(here.path("in/x.xyz"), b"x").unwrap();
    let child = here.start(&["in", "-o", "out", "--watch", "--format", "jsonl"]);
    let until = Instant::now() + Duration::from_secs(60);
    let lines =
        || std::fs::read_to_string(here.path("out/results.jsonl")).unwrap_or_default().lines().count();
    while lines() < 1 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
    }
    std::fs::write(here.path("in/y.abc"), b"y").unwrap();
    here.picture(".q.png", 12, 12);
    std::fs::rename(here.path(".q.png"), here.path("in/.q.png")).unwrap();
    terminate(&child);
    let ran = crate::Ran::from(child.wait_with_output().unwrap());
    assert!(ran.stderr.contains("passed over: 1 with another ending (.xyz)"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("passed over: 1 hidden file, 2 with other endings (.abc, .xyz)"),
        "{}",
        ran.stderr
    );
    assert_eq!(lines(), 1);
}

/// Good and damaged parts with masks, in MVTec AD's layout.
fn parts(here: &Workplace) {
    for name in ["part/test/good/0.png", "part/test/dent/0.png", "part/test/dent/1.png"] {
        here.picture(name, 24, 24);
    }
    for name in ["0_mask.png", "1_mask.png"] {
        here.picture(&format!("part/ground_truth/dent/{name}"), 24, 24);
    }
}

#[test]
fn files_among_labelled_pictures_are_named_and_the_exit_code_says_so() {
    let here = Workplace::new();
    parts(&here);
    for name in ["part/test/good/.x.png", "part/test/dent/Thumbs.db", "part/test/dent/readme.txt"] {
        std::fs::write(here.path(name), b"x").unwrap();
    }
    std::fs::create_dir(here.path("part/test/.ipynb_checkpoints")).unwrap();
    let model = support::tiny_model().to_str().unwrap();
    let eval = |out: &str| here.run(&["eval", ".", "--model", model, "-o", out, "--format", "json"]);
    // Hidden files and texts are only counted.
    let said = "passed over: 2 hidden files, 1 hidden folder, 1 with another ending (.txt)";
    assert!(here.run(&["data", "check", "."]).ok().stdout.contains(said));
    let ran = eval("one").ok();
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    assert_eq!(ran.json()["about"]["passed_over"]["hidden_files"], 2);
    for name in ["part/test/good/2.xyz", "part/test/dent/3.PNG.bak", "part/ground_truth/dent/3_mask.mat"] {
        std::fs::write(here.path(name), b"x").unwrap();
    }
    let check = here.run(&["data", "check", ".", "--json"]);
    let problems = check.json()["problems"].as_array().unwrap().clone();
    assert_eq!((check.code, problems.len(), &problems[0]["kind"]), (2, 3, &"other_file".into()));
    let ran = eval("two");
    assert_eq!(ran.code, 2);
    for name in ["2.xyz", "3.PNG.bak", "3_mask.mat", "3 problems: file not read 3"] {
        assert!(ran.stderr.contains(name), "{}", ran.stderr);
    }
    let ran = here.run(&["calibrate", ".", "--model", model, "-o", "t.json"]);
    assert!(
        ran.code == 2 && ran.stderr.contains("2.xyz") && ran.stderr.contains("passed over:"),
        "{}",
        ran.stderr
    );
}

#[test]
fn brackets_in_names_and_patterns() {
    let here = Workplace::new();
    here.picture("[2024] line/[a].png", 12, 12);
    here.picture("[2024] line/b.png", 12, 12);
    let of = |input: &str| here.detect(&[input]).ok().stdout;
    assert_eq!(scored(&of("[2024] line/*.png")), ["[2024] line/[a].png", "[2024] line/b.png"]);
    assert_eq!(scored(&of("[2024] line/[a].png")), ["[2024] line/[a].png"]);
    assert_eq!(scored(&of("[2024] line")).len(), 2);
    assert_eq!(scored(&of("[[]2024] line/[ab].png")), ["[2024] line/b.png"]);
    let nothing = here.detect(&["[2024] line/c*.png"]);
    assert!(nothing.code == 2 && nothing.stderr.contains("no file matches"), "{}", nothing.stderr);
}

#[test]
fn tables_hold_no_formulas_and_a_mark_on_request() {
    let here = Workplace::new();
    here.picture("=1+1.png", 12, 12);
    here.picture("-a.png", 12, 12);
    let csv = here.detect(&[".", "--include", "*.png", "--format", "csv"]).ok().stdout;
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    let rows: Vec<_> = rows.records().map(Result::unwrap).collect();
    let names: Vec<&str> = rows.iter().map(|row| &row[2]).collect();
    assert_eq!(names, ["'-a.png", "'=1+1.png"]);
    assert!(rows[0][10].parse::<f64>().is_ok(), "{:?}", rows[0]);
    let marked = here.detect(&[".", "--include", "*.png", "--format", "csv-bom"]).ok().stdout;
    assert!(marked.starts_with("\u{feff}schema,path,") && marked.matches('\u{feff}').count() == 1);
    parts(&here);
    std::fs::rename(here.path("part"), here.path("@part")).unwrap();
    let model = support::tiny_model().to_str().unwrap();
    let table = here.run(&["eval", "@part", "--model", model, "--format", "csv-bom"]).ok().stdout;
    assert!(table.starts_with("\u{feff}class,") && table.contains("\n'@part,1,2,"), "{table}");
    assert!(here.read("aaclip-eval/table.csv").contains("\n'@part,"));
}

#[test]
fn text_files_may_begin_with_a_byte_order_mark() {
    let here = Workplace::new();
    parts(&here);
    here.run(&["calibrate", "part/test/good", "-o", "t.json"]).ok();
    let mark = |name: &str, text: &str| std::fs::write(here.path(name), format!("\u{feff}{text}")).unwrap();
    mark("t.json", &here.read("t.json"));
    here.run(&["detect", "part/test/good/0.png", "--threshold", "t.json"]).ok();
    mark("mine.toml", &here.run(&["prompts", "show", "clip-ad", "--toml"]).ok().stdout);
    here.run(&["prompts", "show", "mine.toml"]).ok();
    mark("meta.json", r#"{"test": {"part": [{"img_path": "part/test/good/0.png", "anomaly": 0}]}}"#);
    assert!(here.run(&["data", "check", "meta.json"]).ok().stdout.contains("meta-json"));
    mark("aaclip.toml", "quiet = true\n");
    here.run(&["detect", "part/test/good/0.png"]).ok();
}

#[cfg(unix)]
#[test]
fn long_names_have_short_files_that_later_runs_find() {
    let here = Workplace::new();
    let long = |last: &str| format!("{}{last}.png", "ä".repeat(124));
    [long("1"), long("2"), "a.png".to_owned()]
        .iter()
        .for_each(|n| drop(here.picture(&format!("in/{n}"), 12, 12)));
    let ran = here.detect(&["in", "-o", "out", "--format", "jsonl", "--save", "heatmap,map,raw"]).ok();
    let lines = ran.json_lines();
    let mut files: Vec<&str> = lines
        .iter()
        .flat_map(|l| l["files"].as_object().unwrap().values())
        .map(|f| f.as_str().unwrap())
        .collect();
    files.sort_unstable();
    files.dedup();
    assert_eq!(files.len(), 9);
    files.iter().for_each(|file| assert!(here.path(file).is_file(), "{file}"));
    // The same run continues, another is judged again, and the results are never taken for pictures.
    let again = here.detect(&["in", "-o", "out", "--save", "heatmap,map,raw", "-v"]).ok();
    assert!(again.stderr.contains("(3 of them before)"), "{}", again.stderr);
    let judged = here.detect(&["in", "-o", "out", "--save", "heatmap,map,raw", "--scale", "auto", "-v"]).ok();
    assert!(judged.stderr.contains("3 of those judged again"), "{}", judged.stderr);
    here.run(&["report", "out"]).ok();
    let whole = here.detect(&["out"]);
    assert!(whole.stderr.contains("9 results of this program"), "{}", whole.stderr);
    let copied = here.detect(&["in", "--threshold", "0", "--copy-anomalous", "copies"]).ok();
    assert_eq!(std::fs::read_dir(here.path("copies")).unwrap().count(), 3, "{}", copied.stderr);
}

/// The mode of every file below a folder.
#[cfg(unix)]
fn modes(folder: &Path) -> Vec<(std::path::PathBuf, u32)> {
    use std::os::unix::fs::PermissionsExt;
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let about = entry.metadata().unwrap();
        match about.is_dir() {
            true => found.extend(modes(&entry.path())),
            false => found.push((entry.path(), about.permissions().mode() & 0o777)),
        }
    }
    found
}

#[cfg(unix)]
#[test]
fn files_have_the_mode_that_the_umask_leaves() {
    let here = Workplace::new();
    parts(&here);
    for (umask, mode) in [("027", 0o640), ("002", 0o664), ("077", 0o600), ("000", 0o666)] {
        let script = format!(
            "set -e; umask {umask}; mkdir {umask}; export AACLIP_CACHE={umask}/cache; \
             \"$@\" detect part/test -o {umask}/out --save overlay,map,raw -q > /dev/null; \"$@\" report {umask}/out; \
             \"$@\" eval part -o {umask}/eval -q --save mask > /dev/null; \
             \"$@\" calibrate part/test/good -o {umask}/t.json -q > /dev/null"
        );
        let mut shell = std::process::Command::new("sh");
        shell.current_dir(here.path(".")).args(["-c", &script, "sh"]).arg(here.command().get_program());
        shell.env("HOME", here.path(".")).env("AACLIP_CONFIG", "");
        crate::Ran::from(shell.output().unwrap()).ok();
        let modes = modes(&here.path(umask));
        assert!(modes.len() > 20, "{modes:?}");
        for (file, found) in modes {
            assert_eq!(format!("{found:o}"), format!("{mode:o}"), "umask {umask}: {}", file.display());
        }
    }
}
