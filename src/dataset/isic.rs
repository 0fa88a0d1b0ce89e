//! ISIC 2016, part 1 (Gutman et al. 2016): skin lesions, every picture with a mask.

use std::path::{Path, PathBuf};

use super::listing::below;
use super::masks::Masks;
use super::reading::Reading;
use super::{DatasetError, Label};

/// The folders of test pictures and masks.
pub(super) fn folders(root: &Path) -> Option<(PathBuf, PathBuf)> {
    let part = |name| below(root, &[name]);
    Some((part("ISBI2016_ISIC_Part1_Test_Data")?, part("ISBI2016_ISIC_Part1_Test_GroundTruth")?))
}

pub(super) fn read((images, masks): (PathBuf, PathBuf), reading: &mut Reading) -> Result<(), DatasetError> {
    let mut masks = Masks::of(vec![masks], &["_Segmentation", ""], reading)?;
    reading.folder("ISIC", "lesion", Label::Anomalous, &images, &mut masks)?;
    masks.report_orphans(reading);
    reading.settle_masks(true);
    Ok(())
}
