//! File systems as they are: full, read-only, changing, circular, huge.
#![cfg(unix)]

use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{Ran, Workplace, support};

/// `detect` through `sh -c SCRIPT`, in which `"$@"` is the command.
fn through_shell(here: &Workplace, script: &str, arguments: &[&str]) -> Ran {
    let mut command = here.command();
    let program = command.get_program().to_owned();
    command = {
        let mut shell = Command::new("sh");
        shell.current_dir(here.path(".")).stdin(Stdio::null());
        shell.env("AACLIP_CACHE", here.path("cache")).env("HF_HOME", here.path("hf"));
        shell.args(["-c", script, "sh"]).arg(program);
        shell.args(["detect", "--model"]).arg(support::tiny_model()).args(arguments);
        shell
    };
    Ran::from(command.output().unwrap())
}

fn whole_lines(here: &Workplace, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(here.path(name)).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "a torn line");
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
fn a_write_that_fails_half_way_is_taken_back() {
    let here = Workplace::new();
    for i in 0..12 {
        here.picture(&format!("in/{i:02}.png"), 12, 12);
    }
    here.detect(&["in", "-o", "out", "--save", "raw"]).ok();
    let limit = std::fs::metadata(here.path("out/results.jsonl")).unwrap().len() / 512 / 2;
    // No file may grow beyond about half the journal: its write ends in the middle of a line.
    here.detect(&["in/00.png", "-o", "warm", "--save", "mask"]).ok();
    let script = format!("trap '' XFSZ; ulimit -f {limit} || exit 99; exec \"$@\"");
    let ran = through_shell(&here, &script, &["in", "-o", "small", "--save", "mask"]);
    if ran.code == 99 {
        return support::skip("this shell cannot limit the size of files");
    }
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("results.jsonl"), "{}", ran.stderr);
    let lines = whole_lines(&here, "small/results.jsonl");
    assert!(!lines.is_empty() && lines.len() < 12, "{}", lines.len());
    here.detect(&["in", "-o", "small", "--save", "mask"]).ok();
    assert_eq!(whole_lines(&here, "small/results.jsonl").len(), 12);
}

#[test]
fn a_full_disk_ends_the_run_with_a_reason() {
    let here = Workplace::new();
    for i in 0..40 {
        here.picture(&format!("in/{i:02}.png"), 60, 60);
    }
    std::fs::create_dir(here.path("out")).unwrap();
    let script = "mount -t tmpfs -o size=64k none out 2>/dev/null || exit 99; \"$@\"; code=$?; \
                  cp out/results.jsonl kept.jsonl; exit $code";
    let script = format!("exec unshare -rm sh -c '{script}' sh \"$@\"");
    let ran = through_shell(&here, &script, &["in", "-o", "out"]);
    if ran.code == 99 || ran.stderr.contains("unshare") {
        return support::skip("file systems cannot be mounted here");
    }
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("No space left"), "{}", ran.stderr);
    assert!(ran.stderr.lines().count() < 8, "it went on: {}", ran.stderr);
    assert!(whole_lines(&here, "kept.jsonl").len() < 40);
}

#[cfg(target_os = "linux")]
#[test]
fn stdout_that_is_full_and_folders_that_are_read_only() {
    let here = Workplace::new();
    here.picture("in/a.png", 12, 12);
    let ran = through_shell(&here, "\"$@\" > /dev/full", &["in", "--format", "jsonl"]);
    assert!(ran.code == 2 && ran.stderr.contains("stdout"), "{}", ran.stderr);
    // No user can make folders there.
    let ran = here.detect(&["in", "-o", "/proc/aaclip"]);
    assert!(ran.code == 2 && ran.stderr.contains("/proc/aaclip"), "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
}

#[test]
fn empty_vanished_circular_and_oddly_named_pictures() {
    let here = Workplace::new();
    here.picture("in/good.png", 12, 12);
    std::fs::write(here.path("in/empty.png"), b"").unwrap();
    std::os::unix::fs::symlink("nowhere.png", here.path("in/vanished.png")).unwrap();
    std::os::unix::fs::symlink(here.path("in"), here.path("in/circle")).unwrap();
    let odd = std::ffi::OsStr::from_bytes(b"odd\xff.png");
    std::fs::copy(here.path("in/good.png"), here.path("in").join(odd)).unwrap();
    let run = || here.detect(&["in", "-o", "out", "--save", "raw", "--format", "jsonl", "--verbose"]);
    let ran = run();
    assert_eq!(ran.code, 2);
    for needle in ["empty.png is empty", "vanished.png", "circle", "2 scored, 0 anomalous, 3 failed"] {
        assert!(ran.stderr.contains(needle), "{needle}: {}", ran.stderr);
    }
    let mut file = odd.to_owned();
    file.push(".npy");
    assert!(here.path("out").join(file).is_file());
    // Known again by its bytes.
    assert!(run().stderr.contains("2 scored (2 of them before)"));
    let ran = here.detect(&["in/good.png", "in/gone.png", "--format", "jsonl"]);
    let lines = ran.json_lines();
    assert_eq!((ran.code, &lines[1]["error"]["kind"]), (2, &"unreadable".into()));
}

#[test]
fn a_hundred_thousand_files_in_one_folder() {
    let here = Workplace::new();
    here.picture("picture.png", 12, 12);
    std::fs::create_dir(here.path("in")).unwrap();
    for i in 0..100_000 {
        std::fs::hard_link(here.path("picture.png"), here.path(format!("in/{i:06}.png")))
            .or_else(|_| {
                std::fs::copy(here.path("picture.png"), here.path(format!("in/{i:06}.png"))).map(drop)
            })
            .unwrap();
    }
    let ran =
        here.detect(&["in", "-o", "out", "--save", "raw", "--shard", "0/1000", "--format", "jsonl"]).ok();
    let names: Vec<String> =
        ran.json_lines().iter().map(|l| l["name"].as_str().unwrap().to_owned()).collect();
    assert!((60..150).contains(&names.len()), "{}", names.len());
    assert!(names.is_sorted());
}
