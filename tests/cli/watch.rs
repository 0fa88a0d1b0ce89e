//! `aaclip detect --watch`: pictures as they come.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Write};
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use crate::batch::{steady, terminate};
use crate::{Ran, Workplace};

/// A watch that runs, and the records it writes.
struct Watching {
    /// Until it was ended.
    child: Option<Child>,
    lines: Receiver<String>,
}

impl Watching {
    fn start(here: &Workplace, arguments: &[&str]) -> Self {
        let mut child = here.start(&[arguments, &["--format", "jsonl"]].concat());
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || stdout.lines().try_for_each(|line| sender.send(line.unwrap())));
        Self { child: Some(child), lines }
    }

    fn next(&self) -> Value {
        let line = self.lines.recv_timeout(Duration::from_secs(120)).expect("a picture");
        steady(&line).remove(0)
    }

    /// Ends it; returns the rest of its output and its status.
    fn end(mut self) -> (Vec<Value>, Ran) {
        let child = self.child.take().unwrap();
        terminate(&child);
        let ran = Ran::from(child.wait_with_output().unwrap());
        (self.lines.iter().flat_map(|line| steady(&line)).collect(), ran)
    }
}

impl Drop for Watching {
    /// A test that fails leaves no watch behind.
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Writes a picture in two parts, with a rest between them.
fn write_slowly(here: &Workplace, name: &str, bytes: &[u8], rest: Duration) {
    let mut slow = std::fs::File::create(here.path(name)).unwrap();
    slow.write_all(&bytes[..40]).unwrap();
    std::thread::sleep(rest);
    slow.write_all(&bytes[40..]).unwrap();
}

#[test]
fn watching_scores_what_comes() {
    for more in [&["--watch"][..], &["--poll", "1"]] {
        let here = Workplace::new();
        here.folder(&["in/old.png"]);
        let watching = Watching::start(&here, &[&["in", "--save", "raw", "--out", "in/out"], more].concat());
        assert_eq!(watching.next()["name"], "old.png");
        // Written slowly under its own name, and renamed after it was complete.
        let bytes = std::fs::read(here.path("in/old.png")).unwrap();
        write_slowly(&here, "in/slow.png", &bytes, Duration::from_millis(50));
        let slow = watching.next();
        assert_eq!((&slow["name"], &slow["error"]), (&"slow.png".into(), &Value::Null), "{more:?}");
        std::fs::create_dir(here.path("in/sub")).unwrap();
        std::fs::write(here.path("in/sub/x.part"), &bytes).unwrap();
        std::fs::rename(here.path("in/sub/x.part"), here.path("in/sub/moved.png")).unwrap();
        assert_eq!(watching.next()["name"], "sub/moved.png");
        let (rest, ran) = watching.end();
        assert!(ran.code == 0 && rest.is_empty() && ran.stderr.contains("finishing"), "{}", ran.stderr);
        assert_eq!(steady(&here.read("in/out/results.jsonl")).len(), 3);
    }
    let here = Workplace::new();
    here.folder(&["a.png"]);
    let ran = here.detect(&["a.png", "--watch"]);
    assert!(ran.code == 2 && ran.stderr.contains("a.png is not a folder"), "{}", ran.stderr);
}

#[test]
fn what_is_being_written_is_left_alone_whatever_else_happens() {
    let here = Workplace::new();
    here.folder(&["in/first.png"]);
    let bytes = std::fs::read(here.path("in/first.png")).unwrap();
    let watching = Watching::start(&here, &["in", "--watch", "--save", "raw", "--out", "out"]);
    assert_eq!(watching.next()["name"], "first.png");
    std::thread::scope(|scope| {
        scope.spawn(|| write_slowly(&here, "in/slow.png", &bytes, Duration::from_millis(900)));
        std::thread::sleep(Duration::from_millis(300));
        // Folders make it search everything again.
        std::fs::create_dir(here.path("in/sub")).unwrap();
    });
    let slow = watching.next();
    assert_eq!((&slow["name"], &slow["error"]), (&"slow.png".into(), &Value::Null));
    // A link to a finished file is never closed after writing.
    std::fs::hard_link(here.path("in/first.png"), here.path("in/link.png")).unwrap();
    assert_eq!(watching.next()["name"], "link.png");
    // A picture that is overwritten has one line in the end.
    for side in [40, 41] {
        here.picture("in/first.png", side, 30);
        assert_eq!(watching.next()["size"]["width"], side);
    }
    let (rest, ran) = watching.end();
    assert!(rest.is_empty() && ran.code == 0, "{rest:?} {}", ran.stderr);
    let kept = steady(&here.read("out/results.jsonl"));
    assert_eq!(kept.len(), 3);
    assert_eq!(kept.iter().find(|r| r["name"] == "first.png").unwrap()["size"]["width"], 41);
}

#[test]
fn a_folder_that_went_and_came_back_is_watched_again() {
    let here = Workplace::new();
    here.folder(&["in/a.png", "kept.png"]);
    let watching = Watching::start(&here, &["in", "--watch", "-q"]);
    assert_eq!(watching.next()["name"], "a.png");
    std::fs::remove_dir_all(here.path("in")).unwrap();
    std::fs::create_dir(here.path("in")).unwrap();
    std::fs::copy(here.path("kept.png"), here.path("in/b.png")).unwrap();
    assert_eq!(watching.next()["name"], "b.png");
    std::fs::copy(here.path("kept.png"), here.path("in/c.png")).unwrap();
    assert_eq!(watching.next()["name"], "c.png");
    let (_, ran) = watching.end();
    assert!(ran.code == 2 && ran.stderr.contains("in does not exist any more"), "{}", ran.stderr);
}

#[test]
fn namesakes_from_two_folders_do_not_replace_each_other() {
    let here = Workplace::new();
    here.folder(&["kept.png", "one/x.png", "two/y.png"]);
    let watching = Watching::start(&here, &["one", "two", "--watch", "--save", "raw", "--out", "out"]);
    assert_eq!(watching.next()["name"], "x.png");
    assert_eq!(watching.next()["name"], "y.png");
    std::fs::copy(here.path("kept.png"), here.path("one/y.png")).unwrap();
    std::fs::copy(here.path("kept.png"), here.path("one/z.png")).unwrap();
    assert_eq!(watching.next()["name"], "z.png");
    let (_, ran) = watching.end();
    assert!(ran.code == 2 && ran.stderr.contains("one/y.png is not scored"), "{}", ran.stderr);
    assert_eq!(steady(&here.read("out/results.jsonl"))[1]["path"], "two/y.png");
}

#[test]
fn a_watch_with_another_threshold_judges_what_is_there() {
    let here = Workplace::new();
    here.folder(&["in/a.png", "in/b.png"]);
    here.detect(&["in", "-o", "out"]).ok();
    let old = steady(&here.read("out/results.jsonl"));
    let watching = Watching::start(&here, &["in", "-o", "out", "--watch", "--threshold", "0", "--verbose"]);
    for before in &old {
        let now = watching.next();
        assert_eq!((&now["score"], &now["anomalous"]), (&before["score"], &true.into()));
    }
    let (_, ran) = watching.end();
    assert!(ran.stderr.contains("2 of those judged again"), "{}", ran.stderr);
    let kept = steady(&here.read("out/results.jsonl"));
    assert!(kept.len() == 2 && kept.iter().all(|record| record["anomalous"] == true));
}
