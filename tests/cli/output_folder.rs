//! Output folders: their run, and the files in them.

use serde_json::Value;

use crate::batch::{names, steady};
use crate::snapshot::Refusals;
use crate::{Workplace, support};

#[test]
fn a_folder_in_use_is_not_begun_anew() {
    let here = Workplace::new();
    here.folder(&["in/a.png"]);
    here.detect(&["in", "-o", "out", "--save", "raw"]).ok();
    let before = here.read("out/results.jsonl");
    let path = here.path("out/results.jsonl");
    let other = aaclip::batch::RunResults::lock(&path).unwrap();
    for more in [&[][..], &["--restart"], &["--restart", "--class", "screw"]] {
        let ran = here.detect(&[&["in", "-o", "out", "--save", "raw"], more].concat());
        assert!(ran.code == 2 && ran.stderr.contains("another run"), "{}", ran.stderr);
    }
    drop(other);
    assert_eq!(here.read("out/results.jsonl"), before);
    here.detect(&["in", "-o", "out", "--save", "raw", "--restart"]).ok();
}

#[test]
fn a_result_is_not_replaced_by_that_of_another_picture() {
    let here = Workplace::new();
    here.folder(&["day1/a.png", "day1/b.png", "day2/a.png"]);
    let run = |folder: &str| here.detect(&[folder, "-o", "out", "--save", "raw", "--verbose"]);
    run("day1").ok();
    let before = here.read("out/results.jsonl");
    let mut refused = Refusals::default();
    let _filters = here.filters();
    let other = ["day2", "-o", "out", "--save", "raw"];
    refused.line(&other, &here.detect(&other));
    insta::assert_snapshot!(refused.0);
    assert_eq!(here.read("out/results.jsonl"), before);
    // The same pictures by another way, or in another place, are the same.
    let ran = run("day2/../day1").ok();
    assert!(ran.stderr.contains("2 scored (2 of them before)"), "{}", ran.stderr);
    std::fs::rename(here.path("day1"), here.path("moved")).unwrap();
    let ran = run("moved").ok();
    assert!(ran.stderr.contains("2 scored (2 of them before)"), "{}", ran.stderr);
}

#[test]
fn paths_in_the_journal_hold_from_where_it_was_begun() {
    let here = Workplace::new();
    here.folder(&["in/a.png"]);
    here.detect(&["in", "-o", "out", "--save", "raw"]).ok();
    here.picture("in/b.png", 30, 30);
    std::fs::create_dir(here.path("elsewhere")).unwrap();
    let mut command = here.command();
    command.current_dir(here.path("elsewhere")).arg("detect").arg("--model").arg(support::tiny_model());
    command.args(["../in", "-o", "../out", "--save", "raw", "--format", "jsonl"]);
    let ran = crate::Ran::from(command.output().unwrap()).ok();
    assert_eq!(steady(&ran.stdout)[1]["path"], "../in/b.png");
    let manifest: Value = serde_json::from_str(&here.read("out/manifest.json")).unwrap();
    let started = std::path::Path::new(manifest["started_in"].as_str().unwrap());
    for record in steady(&here.read("out/results.jsonl")) {
        assert!(started.join(record["path"].as_str().unwrap()).is_file(), "{record}");
    }
}

#[test]
fn parts_of_one_folder_belong_together() {
    let here = Workplace::new();
    here.folder(&["in/a.png", "in/b.png", "in/c.png"]);
    let run = |more: &[&str]| here.detect(&[&["in", "-o", "out", "--save", "raw"], more].concat());
    run(&["--shard", "0/2"]).ok();
    let mut refused = Refusals::default();
    for more in [&["--shard", "1/2", "--class", "screw"][..], &["--shard", "1/3"], &[]] {
        refused.lines(more, &run(more));
    }
    insta::assert_snapshot!(refused.0);
    assert!(!here.path("out/results.jsonl").exists());
    run(&["--shard", "1/2"]).ok();
    // A part without a picture has run, too.
    std::fs::create_dir(here.path("one")).unwrap();
    here.picture("one/a.png", 20, 20);
    for part in 0..4 {
        let part = format!("{part}/4");
        let ran = here.detect(&["one", "-o", "few", "--shard", &part, "--format", "json"]).ok();
        assert!(serde_json::from_str::<Vec<Value>>(&ran.stdout).unwrap().len() <= 1);
        assert!(here.path(format!("few/results-{}.jsonl", part.replace('/', "-of-"))).is_file());
    }
}

#[test]
fn files_that_were_removed_are_made_again() {
    let here = Workplace::new();
    here.folder(&["in/a.png", "in/b.png"]);
    let run = || here.detect(&["in", "-o", "out", "--verbose"]).ok().stderr;
    run();
    std::fs::remove_file(here.path("out/a.png.heatmap.png")).unwrap();
    let said = run();
    assert!(said.contains("2 scored (2 of them before, 1 of those judged again)"), "{said}");
    assert!(here.path("out/a.png.heatmap.png").is_file());
}

#[test]
fn what_was_painted_is_no_picture() {
    let here = Workplace::new();
    here.folder(&["in/a.png", "in/b.jpg", "in/in/c.png"]);
    let count = |arguments: &[&str]| {
        let ran = here.detect(&[arguments, &["--format", "jsonl"]].concat()).ok();
        steady(&ran.stdout).len()
    };
    for _ in 0..3 {
        assert_eq!(count(&["in/*.*g", "-o", "in"]), 2);
        assert_eq!(count(&["in", "-o", "."]), 3);
    }
    assert_eq!(count(&["."]), 3);
    assert_eq!(count(&["in/a.png.heatmap.png"]), 1);
}

#[test]
fn each_picture_once_and_namesakes_where_nothing_is_kept() {
    let here = Workplace::new();
    here.folder(&["one/a.png", "two/a.png"]);
    let ran = here.detect(&["one", "two", "one/a.png", "./one/a.png", "--format", "jsonl"]).ok();
    assert_eq!(names(&steady(&ran.stdout)), ["a.png", "a.png"]);
    let mut refused = Refusals::default();
    for arguments in [
        &["one", "two", "-o", "out"][..],
        &["one/a.png", "--exclude", "*"],
        &["one/*.png", "--include", "b*"],
    ] {
        refused.line(arguments, &here.detect(arguments));
    }
    insta::assert_snapshot!(refused.0);
}

#[test]
fn nothing_has_a_form_as_well() {
    let here = Workplace::new();
    std::fs::create_dir(here.path("empty")).unwrap();
    for (format, expected) in [("json", "[]\n"), ("csv", "schema,path,"), ("jsonl", ""), ("text", "")] {
        let ran = here.detect(&["empty", "--format", format]);
        assert_eq!(ran.code, 2);
        assert!(
            ran.stdout.starts_with(expected) && (ran.stdout.is_empty() == expected.is_empty()),
            "{format}"
        );
    }
}

#[cfg(unix)]
#[test]
fn odd_things_among_pictures() {
    use std::os::unix::fs::symlink;
    let here = Workplace::new();
    here.folder(&["in/back\\slash.png", "in/esc\u{1b}[31m.png"]);
    assert!(std::process::Command::new("mkfifo").arg(here.path("in/pipe.png")).status().unwrap().success());
    symlink("/dev/zero", here.path("in/zero.png")).unwrap();
    let run = || here.detect(&["in", "-o", "out", "--save", "raw", "--format", "jsonl"]);
    let (first, second) = (run(), run());
    assert_eq!((first.code, second.code), (2, 2));
    assert_eq!(steady(&first.stdout), steady(&second.stdout));
    for record in steady(&first.stdout) {
        match record["error"]["message"].as_str() {
            None => assert!(here.path(record["files"]["raw"].as_str().unwrap()).is_file(), "{record}"),
            Some(why) => assert!(why.contains("not a regular file"), "{why}"),
        }
    }
    assert_eq!(steady(&first.stdout).iter().filter(|r| r["error"].is_null()).count(), 2);
    // A process substitution is not a regular file either, but is accepted.
    let picture = std::fs::File::open(here.path("in/back\\slash.png")).unwrap();
    let ran = crate::Ran::from(
        here.command()
            .args(["detect", "/dev/stdin", "--model"])
            .arg(support::tiny_model())
            .stdin(picture)
            .output()
            .unwrap(),
    );
    assert!(ran.code == 0 && ran.stdout.contains("/dev/stdin"), "{}", ran.stderr);
    let ran = here.detect(&["in"]);
    assert!(!ran.stdout.contains('\u{1b}') && ran.stdout.contains("esc\\u{1b}[31m.png"), "{}", ran.stdout);
}
