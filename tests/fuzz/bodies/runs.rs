//! What runs over many pictures read: requests of a worker, results of an earlier run.

use std::path::Path;

use aaclip::batch::RunResults;
use aaclip::gallery::DetectRun;
use aaclip::lines::{Line, Lines};
use aaclip::worker::{Request, RequestPicture};

use super::{picture, scratch};

/// The lines of `aaclip worker`, and the pictures in them.
pub fn worker(data: &[u8]) {
    const LONGEST: u64 = 4096;
    let lines = Lines::new(data, LONGEST).map(|line| line.expect("memory can be read"));
    for line in lines {
        let Line::Whole(line) = line else { continue };
        assert!(line.len() as u64 <= LONGEST && !line.contains(&b'\n'));
        if let Ok(request) = Request::parse(&line) {
            let size = match &request.picture {
                RequestPicture::Bytes(bytes) => {
                    picture(bytes);
                    bytes.len()
                }
                RequestPicture::File(path) => path.as_os_str().len(),
            };
            assert!(size <= line.len());
            assert!(request.name.name.len() <= line.len().max("picture".len()));
        }
    }
}

/// The results of an interrupted run: the run continues, and its results can be read and shown.
pub fn journal(data: &[u8]) {
    let path = scratch::file("run/results.jsonl", data);
    let _ = path.parent().map(DetectRun::read);
    for by_hash in [false, true] {
        let locked = RunResults::lock(&path).expect("nobody else has it");
        let Ok((journal, before)) = RunResults::read(locked, by_hash, Path::new("/")) else { return };
        let _ = (before.len(), before.has(b"a.png"), before.namesake(b"a.png", &path));
        journal.finish().expect("what can be opened can be finished");
    }
    let text = std::fs::read(&path).expect("the journal");
    assert!(text.is_empty() || text.ends_with(b"\n"));
}
