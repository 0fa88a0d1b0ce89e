//! Polyp segmentation sets: every picture is anomalous and has a mask.
//!
//! CVC-ClinicDB and CVC-ColonDB (Bernal et al.), CVC-300 (Vazquez et al.), Kvasir-SEG (Jha et al.), as published and
//! as PraNet's test collection repacks them.

use std::path::{Path, PathBuf};

use super::bmad::distinct;
use super::listing::{Listing, below, folder_name};
use super::masks::Masks;
use super::reading::Reading;
use super::{DatasetError, Label, ProblemKind};

/// Folders of pictures and of masks; the first pair that exists is taken.
const PAIRS: [(&[&str], &[&str]); 6] = [
    (&["images"], &["masks"]),
    (&["image"], &["mask"]),
    (&["Original"], &["Ground Truth"]),
    (&["PNG", "Original"], &["PNG", "Ground Truth"]),
    (&["TIF", "Original"], &["TIF", "Ground Truth"]),
    (&["bbdd"], &["gtpolyp"]),
];

/// Parts of folder names, and what AA-CLIP calls the class.
const CLASSES: [(&str, &str); 5] = [
    ("clinicdb", "Colon_clinicDB"),
    ("colondb", "Colon_colonDB"),
    ("cvc-300", "CVC-300"),
    ("cvc300", "CVC-300"),
    ("kvasir", "Kvasir"),
];

/// One segmentation set.
#[derive(Debug)]
pub(super) struct Set {
    name: String,
    folder: PathBuf,
    images: PathBuf,
    masks: PathBuf,
}

/// The folders with pictures and masks: `root` itself, or those in it.
pub(super) fn sets(root: &Path, listing: &Listing) -> Vec<Set> {
    let set = |folder: &Path| {
        let (images, masks) =
            PAIRS.iter().find_map(|(images, masks)| Some((below(folder, images)?, below(folder, masks)?)))?;
        Some(Set { name: class_name(&folder_name(folder)), folder: folder.to_owned(), images, masks })
    };
    if let Some(one) = set(root) {
        return vec![one];
    }
    let mut sets: Vec<Set> = listing.folders.iter().filter_map(|f| set(f)).collect();
    distinct(&mut sets, |s| &mut s.name, |s| folder_name(&s.folder));
    sets
}

fn class_name(folder: &str) -> String {
    let plain = folder.to_ascii_lowercase().replace(['_', ' '], "-");
    let known = CLASSES.iter().find(|(part, _)| plain.contains(part));
    known.map_or_else(|| folder.to_owned(), |(_, class)| (*class).to_owned())
}

pub(super) fn read(sets: Vec<Set>, reading: &mut Reading) -> Result<(), DatasetError> {
    for set in sets {
        let mut masks = Masks::of(vec![set.masks], &["", "_mask"], reading)?;
        if reading.folder(&set.name, "defect", Label::Anomalous, &set.images, &mut masks)? == 0 {
            reading.problem(ProblemKind::EmptyClass, &set.folder, "there is no picture in it");
        }
        masks.report_orphans(reading);
    }
    reading.settle_masks(true);
    Ok(())
}
