//! Reads the mask of a sample, with what its file shows.

use crate::image::{DecodeLimits, DecodeOptions, Head, ImageError, MaskFile, OrientationRule, Picture};
use crate::image::{head, read, read_masks};

use super::{Label, Problem, ProblemKind, Sample};

/// The mask of a sample.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ReadMask {
    /// Grey: 255 where the picture is damaged, else 0.
    pub mask: Picture,
    /// What makes it doubtful: an empty mask, and warnings ([`ProblemKind::is_warning`]).
    pub problems: Vec<Problem>,
}

impl Sample {
    /// Reads the sample's mask; `None` if it has no file.
    ///
    /// # Errors
    /// A file cannot be decoded, or several differ in size.
    pub fn read_mask(&self, options: &DecodeOptions) -> Result<Option<ReadMask>, ImageError> {
        let files = self.mask.files();
        let Some(first) = files.first() else { return Ok(None) };
        let file = read_masks(files, options)?;
        let mut problems = Vec::new();
        let mut add = |kind, detail| problems.push(Problem { path: first.clone(), kind, detail });
        if self.label == Label::Anomalous && file.is_empty() {
            let detail = format!("every pixel is 0, but {} is anomalous", self.path.display());
            add(ProblemKind::EmptyMask, detail);
        }
        if let Some(above) = file.lossy {
            let detail = format!(
                "its compression makes edges grey and loses small values; pixels above {above}, half of the largest \
                 value, count as damaged"
            );
            add(ProblemKind::LossyMask, detail);
        }
        if file.alpha {
            let detail = "all its colours are equal, so it was read from the alpha channel".to_owned();
            add(ProblemKind::AlphaMask, detail);
        }
        if options.orientation == OrientationRule::Apply && self.may_be_turned(&file, &options.limits) {
            let detail = format!(
                "{} is turned by its EXIF orientation, the mask is not: if it was drawn in the file's own grid, it lies \
                 wrong",
                self.path.display()
            );
            add(ProblemKind::TurnedPicture, detail);
        }
        Ok(Some(ReadMask { mask: file.mask, problems }))
    }

    /// Whether the picture is turned and the mask's size does not show that the mask is upright, too.
    fn may_be_turned(&self, file: &MaskFile, limits: &DecodeLimits) -> bool {
        let head_of = |path| read(path, limits).ok().and_then(|file| head(&file.bytes));
        let Some(Head { width, height, orientation }) = head_of(&self.path) else { return false };
        let masks = self.mask.files();
        let mask_is_turned = || masks.iter().filter_map(|m| head_of(m)).any(|mask| mask.orientation != 1);
        let upright = (file.mask.width(), file.mask.height()) == (height, width);
        let swaps = orientation >= 5;
        orientation > 1 && !(swaps && width != height && upright) && !mask_is_turned()
    }
}
