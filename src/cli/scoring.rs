//! Scores many pictures, decoded and prepared in advance on other threads.

use std::path::Path;

use aaclip::image::{DecodeOptions, decode_bytes, read_within};
use aaclip::memory::MemoryBound;
use aaclip::{Detection, Detector, Error, PreparedPicture, Result, pipeline};

use crate::cli::doubts::Doubts;

/// A picture and the detector of its class.
pub struct Job<'a> {
    pub path: &'a Path,
    pub detector: &'a Detector,
}

/// Scores all pictures in order. `each` receives the result of each picture; an unreadable picture is an
/// error for that picture only.
///
/// # Errors
/// The first error of `each`.
pub fn score(
    jobs: &[Job<'_>],
    decoding: &DecodeOptions,
    memory: &MemoryBound,
    mut each: impl FnMut(usize, Result<Detection>) -> Result<()>,
) -> Result<()> {
    let doubts = Doubts::default();
    let prepare = |job: &&Job<'_>| -> Result<PreparedPicture> {
        let (file, _share) = read_within(job.path, &decoding.limits, memory)?;
        let picture = decode_bytes(&file.bytes, job.path, decoding)?;
        doubts.say(&job.path.to_string_lossy(), picture.decoding().warnings());
        job.detector.prepare(&picture)
    };
    let mut index = 0;
    pipeline::ahead(jobs.iter(), pipeline::threads(), prepare, |job, prepared| {
        let found = prepared.and_then(|picture| job.detector.detect_prepared(picture));
        each(index, found)?;
        index += 1;
        Ok::<_, Error>(())
    })?;
    doubts.finish();
    Ok(())
}
