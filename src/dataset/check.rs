//! Decodes all files once, before a long evaluation.

use std::path::Path;

use rayon::prelude::*;

use crate::image::{DecodeOptions, ImageError, Picture, PixelMode, decode};

use super::{Dataset, Mask, Problem, ProblemKind, Sample};

impl Dataset {
    /// Decodes every picture and mask, in parallel, and returns the problems in the order of the samples:
    /// unreadable files, masks of another size than their picture, empty masks. Problems known from the names
    /// ([`Dataset::problems`]) are not repeated.
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
    let Mask::File(path) = &sample.mask else { return problems };
    let mask = match decode(path, &options.for_mask()) {
        Ok(mask) => mask,
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
    if !marks_anything(&mask) {
        let detail = format!("every pixel is 0, but {} is anomalous", sample.path.display());
        problems.push(problem(ProblemKind::EmptyMask, path, detail));
    }
    problems
}

/// Whether Pillow's `convert("L")`, used by the references, leaves a pixel other than 0.
fn marks_anything(mask: &Picture) -> bool {
    let samples = mask.samples();
    let grey = |[r, g, b]: [u8; 3]| {
        (u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16
    };
    match mask.mode() {
        PixelMode::Gray | PixelMode::Bilevel => samples.iter().any(|&v| v != 0),
        PixelMode::GrayAlpha => samples.as_chunks::<2>().0.iter().any(|&[v, _]| v != 0),
        PixelMode::Rgb | PixelMode::Palette => samples.as_chunks::<3>().0.iter().any(|&rgb| grey(rgb) != 0),
        PixelMode::Rgba => samples.as_chunks::<4>().0.iter().any(|&[r, g, b, _]| grey([r, g, b]) != 0),
    }
}

/// The reason without the file's name, which the problem already has.
fn reason(error: &ImageError, path: &Path) -> String {
    error.to_string().replace(&path.display().to_string(), "it")
}
