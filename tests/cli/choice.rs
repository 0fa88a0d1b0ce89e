//! The choice and the order of results, copies of anomalous pictures, exit codes.

use std::path::Path;

use serde_json::Value;

use crate::Workplace;
use crate::batch::{names, steady};
use crate::snapshot::Refusals;

impl Workplace {
    /// Pictures with different scores: their names and scores, the highest first.
    fn ranked(&self) -> Vec<(String, f64)> {
        self.folder(&["in/a.png", "in/b.png", "in/sub/c.png"]);
        self.picture("in/d.png", 90, 30);
        let lines = self.detect(&["in", "--format", "jsonl"]).ok().json_lines();
        let of = |line: &Value| (line["name"].as_str().unwrap().to_owned(), line["score"].as_f64().unwrap());
        let mut ranked: Vec<_> = lines.iter().map(of).collect();
        ranked.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        assert!(ranked.windows(2).all(|pair| pair[0].1 > pair[1].1), "{ranked:?}");
        ranked
    }

    /// The names on stdout, in their order.
    fn shown(&self, more: &[&str]) -> Vec<String> {
        let ran = self.detect(&[&["in", "--format", "jsonl"], more].concat());
        names(&steady(&ran.stdout)).into_iter().map(str::to_owned).collect()
    }
}

#[test]
fn the_highest_the_anomalous_and_their_order() {
    let here = Workplace::new();
    let ranked = here.ranked();
    let ranking: Vec<&str> = ranked.iter().map(|(name, _)| name.as_str()).collect();
    let in_order = |names: &[&str]| {
        let mut names = names.to_vec();
        names.sort_unstable();
        names.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    std::fs::write(here.path("in/bad.png"), b"no picture").unwrap();
    let all = here.shown(&["--sort", "score"]);
    assert_eq!(all, [&ranking[..], &["bad.png"]].concat());
    assert_eq!(here.shown(&["--sort", "name"]).len(), 5);
    assert_eq!(here.shown(&["--top", "2"]), ranking[..2]);
    assert_eq!(here.shown(&["--top", "2", "--sort", "score"]), ranking[..2]);
    assert_eq!(here.shown(&["--top", "9", "--sort", "score"]), ranking);
    let second = ranked[1].1.to_string();
    let anomalous = ["--threshold", &second, "--only-anomalous"];
    assert_eq!(here.shown(&anomalous), in_order(&ranking[..2]));
    assert_eq!(here.shown(&[&anomalous[..], &["--top", "1"]].concat()), ranking[..1]);
    // The journal has everything, and later choices score nothing.
    let kept = [&anomalous[..], &["-o", "out"]].concat();
    assert_eq!(here.shown(&kept).len(), 2);
    assert_eq!(steady(&here.read("out/results.jsonl")).len(), 5);
    let ran = here.detect(&["in", "-o", "out", "--top", "1", "--sort", "score", "--verbose"]);
    assert!(ran.stderr.contains("4 scored (4 of them before, 4 of those judged again)"), "{}", ran.stderr);
    assert!(ran.stdout.lines().count() == 1 && ran.stdout.contains(ranking[0]), "{}", ran.stdout);
    for (format, end) in [("json", "]\n"), ("csv", "\n")] {
        let ran = here.detect(&["in", "--threshold", "1", "--only-anomalous", "--format", format]);
        assert!(ran.stdout.ends_with(end) && !ran.stdout.contains("a.png"), "{}", ran.stdout);
    }
}

#[test]
fn what_cannot_be_chosen() {
    let here = Workplace::new();
    here.folder(&["in/a.png"]);
    let mut refused = Refusals::default();
    for more in [
        &["--watch", "--sort", "score"][..],
        &["--watch", "--top", "3"],
        &["--threshold", "0.5", "--copy-anomalous", "in"],
        &["--threshold", "0.5", "--copy-anomalous", "in/bad/ones"],
    ] {
        refused.line(more, &here.detect(&[&["in"], more].concat()));
    }
    for more in [&["--only-anomalous"][..], &["--copy-anomalous", "bad"], &["--top", "0"]] {
        refused.lines(more, &here.detect(&[&["in"], more].concat()));
    }
    insta::assert_snapshot!(refused.0);
    assert!(!here.path("in/bad").exists() && !here.path("bad").exists());
}

#[test]
fn anomalous_pictures_are_copied_under_their_names() {
    let here = Workplace::new();
    let ranked = here.ranked();
    let second = ranked[1].1.to_string();
    let copy = |more: &[&str]| {
        here.detect(&[&["in", "--threshold", &second, "--copy-anomalous", "bad/ones"], more].concat())
    };
    let same = |name: &str| {
        let read = |folder: &str| std::fs::read(here.path(folder).join(name)).unwrap();
        assert_eq!(read("bad/ones"), read("in"), "{name}");
    };
    for _ in 0..2 {
        copy(&["-o", "out"]).ok();
        ranked[..2].iter().for_each(|(name, _)| same(name));
        assert!(ranked[2..].iter().all(|(name, _)| !here.path("bad/ones").join(name).exists()));
    }
    // The same content is no other file; another one stays, and is named.
    let there = here.path("bad/ones").join(&ranked[0].0);
    std::fs::remove_file(&there).unwrap();
    std::fs::copy(here.path("in").join(&ranked[0].0), &there).unwrap();
    copy(&[]).ok();
    std::fs::remove_file(&there).unwrap();
    std::fs::write(&there, b"mine").unwrap();
    let ran = copy(&[]);
    assert_eq!((ran.code, ran.stdout.lines().count()), (2, 4), "{}", ran.stderr);
    assert!(ran.stderr.contains("is there and differs; remove that file"), "{}", ran.stderr);
    assert_eq!(std::fs::read(&there).unwrap(), b"mine");
    // Inside the searched folder, if it is left out.
    for more in [&["--exclude", "bad/"][..], &["-o", "in/out"]] {
        let folder = if more[0] == "-o" { "in/out/bad" } else { "in/bad" };
        let more = [&["in", "--threshold", &second, "--copy-anomalous", folder], more].concat();
        for _ in 0..2 {
            assert_eq!(here.detect(&more).ok().stdout.lines().count(), 4);
        }
        assert!(here.path(folder).join(&ranked[0].0).is_file());
        std::fs::remove_dir_all(here.path(folder)).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn a_link_is_copied_as_its_picture() {
    let here = Workplace::new();
    here.folder(&["real.png", "in/b.png"]);
    std::os::unix::fs::symlink(here.path("real.png"), here.path("in/link.png")).unwrap();
    here.detect(&["in", "--threshold", "0", "--copy-anomalous", "bad"]).ok();
    let is_link = |path: &Path| path.symlink_metadata().unwrap().is_symlink();
    assert!(!is_link(&here.path("bad/link.png")));
    assert_eq!(
        std::fs::read(here.path("bad/link.png")).unwrap(),
        std::fs::read(here.path("real.png")).unwrap()
    );
}

#[test]
fn an_anomaly_is_told_from_an_anomaly_and_a_failure() {
    let here = Workplace::new();
    here.folder(&["in/a.png"]);
    let code = |input: &str, threshold: &str, more: &[&str]| {
        here.detect(&[&[input, "--threshold", threshold], more].concat()).code
    };
    let fail = ["--fail-on-anomaly"];
    assert_eq!((code("in", "0", &fail), code("in", "1", &fail), code("in", "0", &[])), (1, 0, 0));
    std::fs::write(here.path("in/bad.png"), b"no picture").unwrap();
    assert_eq!((code("in", "0", &fail), code("in", "1", &fail), code("in", "0", &[])), (3, 2, 2));
    // The same from the journal.
    for _ in 0..2 {
        assert_eq!(code("in", "0", &["--fail-on-anomaly", "-o", "out", "--quiet"]), 3);
    }
}

/// At a terminal a run over a folder answers; into a pipe it only writes results.
#[test]
fn a_pipe_gets_no_summary() {
    let here = Workplace::new();
    here.folder(&["in/a.png", "in/b.png"]);
    for more in [&[][..], &["--threshold", "0.5"]] {
        assert_eq!(here.detect(&[&["in", "-o", "out"], more].concat()).ok().stderr, "");
    }
}

/// With `script` of util-linux as the terminal, if there is one.
#[cfg(target_os = "linux")]
#[test]
fn a_terminal_gets_one() {
    let here = Workplace::new();
    here.folder(&["in/a.png", "in/b.png"]);
    let model = crate::support::tiny_model().display().to_string();
    let program = env!("CARGO_BIN_EXE_aaclip");
    let said = |more: &str| {
        let inputs = format!("'{program}' detect --model '{model}' -o out {more} > results.txt");
        let here = here.command();
        let mut command = std::process::Command::new("script");
        command.args(["-qec", &inputs, "/dev/null"]).stdin(std::process::Stdio::null());
        command.current_dir(here.get_current_dir().unwrap());
        for (name, value) in here.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Some(String::from_utf8_lossy(&command.output().ok()?.stdout).into_owned())
    };
    let Some(first) = said("in") else { return };
    assert!(first.contains("2 pictures scored; the highest scores:"), "{first}");
    assert!(first.contains("aaclip calibrate GOOD -o threshold.json"), "{first}");
    let second = said("in --threshold 0").unwrap();
    assert!(second.contains("2 of 2 pictures at or above the threshold 0"), "{second}");
    assert!(second.contains("results: out/") && !second.contains("calibrate"), "{second}");
    for quiet in ["in --quiet", "in/a.png --restart", "in/a.png"] {
        let third = said(quiet).unwrap();
        assert!(!third.contains("results: out/"), "{quiet}: {third}");
    }
}
