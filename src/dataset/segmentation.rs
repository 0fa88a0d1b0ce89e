//! Segmentation sets: every picture is anomalous and has a mask.
//!
//! ISIC 2016, part 1 (Gutman et al. 2016): skin lesions. Polyps: CVC-ClinicDB and CVC-ColonDB (Bernal et
//! al.), CVC-300 (Vazquez et al.), Kvasir-SEG (Jha et al.), as published and as repacked in PraNet's test
//! collection.

use std::path::Path;

use super::classes::{Class, distinct, one_or_many};
use super::listing::{Listing, below, folder_name};
use super::masks::Masks;
use super::reading::Reading;
use super::{DatasetError, Label, ProblemKind};

/// Folders of pictures and of masks; the first existing pair is used.
const PAIRS: [(&[&str], &[&str]); 6] = [
    (&["images"], &["masks"]),
    (&["image"], &["mask"]),
    (&["Original"], &["Ground Truth"]),
    (&["PNG", "Original"], &["PNG", "Ground Truth"]),
    (&["TIF", "Original"], &["TIF", "Ground Truth"]),
    (&["bbdd"], &["gtpolyp"]),
];

/// Parts of folder names, and AA-CLIP's class names.
const CLASSES: [(&str, &str); 5] = [
    ("clinicdb", "Colon_clinicDB"),
    ("colondb", "Colon_colonDB"),
    ("cvc-300", "CVC-300"),
    ("cvc300", "CVC-300"),
    ("kvasir", "Kvasir"),
];

/// The folders with pictures and masks: `root` itself, or folders in it.
pub(super) fn sets(root: &Path, listing: &Listing) -> Vec<Class> {
    distinct(one_or_many(root, listing, |folder| {
        let (images, masks) =
            PAIRS.iter().find_map(|(images, masks)| Some((below(folder, images)?, below(folder, masks)?)))?;
        let name = class_name(&folder_name(folder));
        Some(Class { name, folder: folder.to_owned(), images, masks: Some(masks) })
    }))
}

/// The test pictures of ISIC, and their masks.
pub(super) fn isic(root: &Path) -> Option<Class> {
    let part = |name| below(root, &[name]);
    let images = part("ISBI2016_ISIC_Part1_Test_Data")?;
    let masks = part("ISBI2016_ISIC_Part1_Test_GroundTruth")?;
    Some(Class { name: "ISIC".to_owned(), folder: root.to_owned(), images, masks: Some(masks) })
}

fn class_name(folder: &str) -> String {
    let plain = folder.to_ascii_lowercase().replace(['_', ' '], "-");
    let known = CLASSES.iter().find(|(part, _)| plain.contains(part));
    known.map_or_else(|| folder.to_owned(), |(_, class)| (*class).to_owned())
}

pub(super) fn read(sets: Vec<Class>, reading: &mut Reading) -> Result<(), DatasetError> {
    read_all(sets, "defect", &["", "_mask"], reading)
}

pub(super) fn read_isic(set: Class, reading: &mut Reading) -> Result<(), DatasetError> {
    read_all(vec![set], "lesion", &["_Segmentation", ""], reading)
}

fn read_all(
    sets: Vec<Class>,
    kind: &str,
    suffixes: &'static [&'static str],
    reading: &mut Reading,
) -> Result<(), DatasetError> {
    for set in sets {
        let mut masks = Masks::of(set.masks.into_iter().collect(), suffixes, reading)?;
        if reading.folder(&set.name, kind, Label::Anomalous, &set.images, &mut masks)? == 0 {
            reading.problem(ProblemKind::EmptyClass, &set.folder, "it contains no picture");
        }
        masks.report_orphans(reading);
    }
    reading.settle_masks(true);
    Ok(())
}
