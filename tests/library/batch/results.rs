use std::path::Path;

use aaclip::batch::{FileState, Finished, RunResults};
use aaclip::files::Stamp;
use aaclip::output::Record;

use crate::gallery;

const STATE: Stamp = Stamp { bytes: 5, modified: Some(7) };

fn record(name: &str, ok: bool) -> Record {
    let json = if ok { gallery::record(name, 0.25) } else { gallery::failure(name, "empty") };
    let mut record: Record = serde_json::from_value(json).unwrap();
    record.input.path = name.to_owned();
    record.input.stamp = Some(STATE);
    record
}

fn open(path: &Path, by_hash: bool) -> (RunResults, Finished) {
    RunResults::read(RunResults::lock(path).unwrap(), by_hash, path.parent().unwrap()).unwrap()
}

fn names(path: &Path) -> Vec<(String, bool)> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|l| serde_json::from_str::<Record>(l).unwrap());
    lines.map(|r| (r.input.path.clone(), r.scored().is_some())).collect()
}

#[test]
fn finished_pictures_are_known_again_and_failed_ones_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("results.jsonl");
    let (mut results, before) = open(&path, false);
    assert!(before.is_empty());
    for (name, ok) in [("a", true), ("b", false), ("c", true)] {
        results.append(&record(name, ok), &before).unwrap();
    }
    results.finish().unwrap();

    let (mut results, before) = open(&path, false);
    assert_eq!(before.get(b"a", FileState::Stamp(STATE)), Some(record("a", true)));
    let later = Stamp { modified: Some(8), ..STATE };
    assert_eq!(before.get(b"a", FileState::Stamp(later)), None);
    assert_eq!(before.get(b"b", FileState::Stamp(STATE)), None);
    assert!(!before.has(b"b") && !before.has(b"x") && before.has(b"c"));
    // The second line of a name takes the place of the first.
    results.append(&record("d", true), &before).unwrap();
    results.append(&record("b", true), &before).unwrap();
    results.finish().unwrap();
    let expected = [("a", true), ("b", true), ("c", true), ("d", true)];
    assert_eq!(names(&path), expected.map(|(n, ok)| (n.to_owned(), ok)));
}

#[test]
fn a_result_is_that_of_one_picture() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["one/a", "two/a", "results.jsonl"] {
        std::fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
        std::fs::write(dir.path().join(name), b"").unwrap();
    }
    let path = dir.path().join("results.jsonl");
    let (mut results, before) = open(&path, false);
    let mut of_one = record("a", true);
    of_one.input.path = "one/a".into();
    results.append(&of_one, &before).unwrap();
    drop((results, before));
    let (_, before) = open(&path, false);
    let namesake = |path: &str| before.namesake(b"a", &dir.path().join(path));
    assert_eq!(namesake("two/a"), Some(dir.path().join("one/a")));
    assert_eq!((namesake("one/a"), namesake("one/../one/a")), (None, None));
    assert_eq!(before.namesake(b"b", &dir.path().join("two/b")), None);
    // A picture that was removed or moved does not count.
    std::fs::remove_file(dir.path().join("one/a")).unwrap();
    assert_eq!(namesake("two/a"), None);
}

#[test]
fn by_content() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("results.jsonl");
    let (mut results, before) = open(&path, true);
    let mut hashed = record("a", true);
    hashed.input.sha256 = Some("ab".into());
    results.append(&hashed, &before).unwrap();
    results.append(&record("b", true), &before).unwrap();
    drop(results);
    let (_, before) = open(&path, true);
    assert!(before.get(b"a", FileState::Hash(5, "ab")).is_some());
    assert!(before.get(b"a", FileState::Hash(5, "cd")).is_none());
    assert!(!before.has(b"b") && before.len() == 2);
}
