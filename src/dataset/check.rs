//! Decodes all files once, before a long evaluation.

use std::path::Path;

use rayon::prelude::*;

use crate::image::{DecodeOptions, ImageError, Picture, decode};

use super::{Dataset, Problem, ProblemKind, Sample};

impl Dataset {
    /// Decodes every picture and mask, in parallel, and returns the problems in the order of the samples:
    /// unreadable files, masks of another size than their picture, empty masks, and warnings
    /// ([`ProblemKind::is_warning`]). Problems known from the names ([`Dataset::problems`]) are not repeated.
    ///
    /// `on_each` is called once for each finished sample, from any thread. At most one picture and one mask
    /// per thread are in memory.
    pub fn check(&self, options: &DecodeOptions, on_each: impl Fn() + Sync) -> Vec<Problem> {
        let check = |sample: &Sample| {
            let problems = check_sample(sample, options);
            on_each();
            problems
        };
        // Collected in order, so that the result does not depend on the threads.
        let problems: Vec<Vec<Problem>> = self.samples.par_iter().map(check).collect();
        problems.into_iter().flatten().collect()
    }
}

fn check_sample(sample: &Sample, options: &DecodeOptions) -> Vec<Problem> {
    let problem = |kind, path: &Path, detail| Problem { path: path.to_owned(), kind, detail };
    let picture = decode(&sample.path, options);
    let mut problems = Vec::new();
    if let Err(e) = &picture {
        problems.push(problem(ProblemKind::UnreadablePicture, &sample.path, reason(e, &sample.path)));
    }
    let Some(path) = sample.mask.files().first() else { return problems };
    let (mask, doubts) = match sample.read_mask(options) {
        Ok(Some(read)) => (read.mask, read.problems),
        Ok(None) => return problems,
        Err(e) => {
            problems.push(problem(ProblemKind::UnreadableMask, path, reason(&e, path)));
            return problems;
        }
    };
    let size = |p: &Picture| (p.width(), p.height());
    if let Some(picture) = picture.ok().filter(|p| size(p) != size(&mask)) {
        let (width, height) = size(&picture);
        let detail = format!(
            "it has {} x {} pixels, but its picture {} has {width} x {height}",
            mask.width(),
            mask.height(),
            sample.path.display()
        );
        problems.push(problem(ProblemKind::OddSize, path, detail));
    }
    problems.extend(doubts);
    problems
}

/// The reason without the file's name, which the problem already has.
fn reason(error: &ImageError, path: &Path) -> String {
    error.to_string().replace(&path.display().to_string(), "it")
}
