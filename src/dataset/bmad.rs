//! BMAD (Bao et al. 2024): brain, liver and retina with masks, other sets with image labels only.

use std::path::{Path, PathBuf};

use super::classes::{Class, distinct, one_or_many};
use super::listing::{Listing, below, file_name, folder_name};
use super::masks::Masks;
use super::reading::Reading;
use super::{DatasetError, Label, ProblemKind};

/// Folders of masks beside the pictures; the name depends on the set.
const MASKS: [&str; 4] = ["anomaly_mask", "label", "mask", "gt"];

/// The folders with `test/Ungood`: `root` itself, or folders in it.
pub(super) fn sets(root: &Path, listing: &Listing) -> Vec<Class> {
    distinct(one_or_many(root, listing, |folder| {
        let images = below(folder, &["test"])?;
        below(&images, &["Ungood"])?;
        Some(Class { name: class_name(&folder_name(folder)), folder: folder.to_owned(), images, masks: None })
    }))
}

/// The class name in AA-CLIP: `Retina_RESC_AD` is Retina, `Retina_OCT2017_AD` is another set.
fn class_name(folder: &str) -> String {
    let plain = folder.strip_suffix("_AD").unwrap_or(folder);
    let lower = plain.to_ascii_lowercase();
    let has = |part: &str| lower.contains(part);
    let known = match () {
        () if has("resc") || (has("retina") && !has("oct")) => "Retina",
        () if lower == "brain" => "Brain",
        () if lower == "liver" => "Liver",
        () => plain,
    };
    known.to_owned()
}

pub(super) fn read(sets: Vec<Class>, reading: &mut Reading) -> Result<(), DatasetError> {
    for set in sets {
        let mut has_masks = false;
        let mut empty = true;
        for folder in Listing::of(&set.images)?.folders {
            let kind = file_name(&folder);
            let label = if kind.eq_ignore_ascii_case("good") { Label::Normal } else { Label::Anomalous };
            let parts = Listing::of(&folder)?;
            let of_kind: Vec<PathBuf> =
                MASKS.iter().filter_map(|name| parts.folder(&[name])).map(Path::to_owned).take(1).collect();
            let mut masks = Masks::of(of_kind, &["", "_mask"], reading)?;
            has_masks |= !masks.is_empty();
            let count = match parts.folder(&["img"]) {
                Some(img) => reading.folder(&set.name, &kind, label, img, &mut masks)?,
                None => {
                    let unread = parts.folders.iter().filter(|f| !masks.folders().contains(f));
                    for unread in unread {
                        let detail = "it is not a name for pictures (img) or masks";
                        reading.problem(ProblemKind::UnreadFolder, unread, detail);
                    }
                    reading.visit(&folder, false);
                    reading.listed(&set.name, &kind, label, parts.pictures, &mut masks)
                }
            };
            empty &= count == 0;
            masks.report_orphans(reading);
        }
        if empty {
            reading.problem(ProblemKind::EmptyClass, &set.folder, "its test folders contain no picture");
        }
        // Some sets have no masks at all: each set is settled separately.
        reading.settle_masks(has_masks);
    }
    Ok(())
}
