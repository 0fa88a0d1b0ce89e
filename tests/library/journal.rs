//! Results that survive an interruption, and the lines they are made of.

use std::path::Path;

use aaclip::journal::{Journal, JournalError};
use aaclip::lines::{Line, Lines};
use aaclip::{Error, Result};

type Entry = (String, u32);

fn open(path: &Path) -> Result<(Journal<Entry>, Vec<Entry>)> {
    let mut journal = Journal::lock(path, |line| serde_json::from_slice(line).map_err(|e| e.to_string()))?;
    let mut entries = Vec::new();
    journal.read(|_, entry| entries.push(entry))?;
    Ok((journal, entries))
}

fn entry(name: &str, value: u32) -> Entry {
    (name.to_owned(), value)
}

#[test]
fn one_process_appends_and_the_last_entry_of_a_key_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.jsonl");
    let (mut journal, before) = open(&path).unwrap();
    assert!(before.is_empty() && journal.is_empty().unwrap());
    for (name, value) in [("a", 1), ("b", 2), ("a", 3), ("c", 4)] {
        journal.append(&entry(name, value)).unwrap();
    }
    assert!(matches!(open(&path), Err(Error::Journal(JournalError::Locked { .. }))));
    journal.compact(|(name, _)| u64::from(name.as_bytes()[0])).unwrap();
    assert_eq!(open(&path).unwrap().1, [entry("a", 3), entry("b", 2), entry("c", 4)]);
}

#[test]
fn a_torn_line_is_cut_off_and_a_damaged_one_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.jsonl");
    let whole = "[\"a\",1]\n";
    for cut in [1, 4, whole.len() - 1] {
        std::fs::write(&path, format!("{whole}\n{}", &whole[..cut])).unwrap();
        let (mut journal, _) = open(&path).unwrap();
        journal.append(&entry("b", 2)).unwrap();
        drop(journal);
        assert_eq!(open(&path).unwrap().1, [entry("a", 1), entry("b", 2)]);
    }
    std::fs::write(&path, format!("{whole}nonsense\n{whole}")).unwrap();
    let Err(error) = open(&path) else { panic!("opened") };
    assert!(error.to_string().contains("line 2"), "{error}");
}

fn whole(text: &str) -> Line {
    Line::Whole(text.as_bytes().to_vec())
}

#[test]
fn long_lines_are_passed_over() {
    let read = |text: &str, longest| -> Vec<Line> {
        Lines::new(text.as_bytes(), longest).map(Result::unwrap).collect()
    };
    let long = |s: &str| Line::TooLong(s.as_bytes().to_vec());
    assert_eq!(
        read("ab\n\nabc\nabcd\nx", 3),
        [whole("ab"), whole(""), whole("abc"), long("abcd"), whole("x")]
    );
    assert_eq!(read("abcdef", 3), [long("abcd")]);
    assert_eq!(read("", 3), []);
    assert_eq!(read("a\r\n\r\nb\r", 9), [whole("a"), whole(""), whole("b")]);
    // The mark before the first line is not part of it.
    assert_eq!(read("\u{feff}ab\n\u{feff}", 9), [whole("ab"), whole("\u{feff}")]);
    assert_eq!(read("\u{feff}", 9), []);
    assert_eq!(read("\u{feff}\n", 9), [whole("")]);
}

#[test]
fn a_torn_line_is_told_from_a_whole_one() {
    let mut lines = Lines::new(&b"ab\nc\nde"[..], 9);
    for (expected, end, torn) in [("ab", 3, false), ("c", 5, false), ("de", 5, true)] {
        assert_eq!(lines.next().unwrap().unwrap(), whole(expected));
        assert_eq!((lines.whole_bytes(), lines.is_torn()), (end, torn), "{expected}");
    }
    assert!(lines.next().is_none());
}
