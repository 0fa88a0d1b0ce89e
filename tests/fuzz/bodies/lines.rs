use aaclip::batch::Journal;
use aaclip::output::Record;
use aaclip::worker::{Answer, BadRequest, Line, Lines, Request, RequestPicture};

use super::{picture, scratch};

/// A record as the program writes it.
const RECORD: &str = include_str!("../seeds/journal/failed.jsonl");

fn record() -> Record {
    serde_json::from_str(RECORD).expect("a record")
}

/// What `aaclip worker` reads: requests, one a line. Pictures in them are decoded; every line has an answer of one line.
pub fn worker(data: &[u8]) {
    for line in Lines::new(data, 4096) {
        let id = match line.expect("memory can be read") {
            Line::TooLong => None,
            Line::Whole(line) => {
                assert!(line.len() <= 4096 && !line.contains(&b'\n'));
                match Request::parse(&line) {
                    Err(BadRequest { id, .. }) => id,
                    Ok(request) => {
                        let _ = request.picture_name();
                        if let RequestPicture::Bytes(bytes) = &request.picture {
                            picture(bytes);
                        }
                        request.id
                    }
                }
            }
        };
        let answer = serde_json::to_string(&Answer { id, record: record() }).expect("an answer is JSON");
        assert!(!answer.contains('\n'));
    }
}

/// The journal of an interrupted run, which goes on.
pub fn journal(data: &[u8]) {
    let path = scratch::file("results.jsonl", data);
    for by_hash in [false, true] {
        let Ok((mut journal, before)) = Journal::open(&path, by_hash) else { return };
        let _ = before.has(b"a.png");
        journal.append(&record(), &before).expect("a scratch file");
        journal.finish().expect("a scratch file");
    }
    let (_journal, before) = Journal::open(&path, false).expect("a journal this program wrote");
    assert!(!before.is_empty());
}
