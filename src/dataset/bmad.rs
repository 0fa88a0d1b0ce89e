//! BMAD (Bao et al. 2024): brain, liver and retina with masks, other sets with image labels only.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::listing::{Listing, below, file_name, folder_name};
use super::masks::Masks;
use super::reading::Reading;
use super::{DatasetError, Label, ProblemKind};

/// Folders of masks beside the pictures; which one depends on the set.
const MASKS: [&str; 4] = ["anomaly_mask", "label", "mask", "gt"];

/// One set of the collection.
#[derive(Debug)]
pub(super) struct Set {
    name: String,
    folder: PathBuf,
    test: PathBuf,
}

/// The folders with `test/Ungood`: `root` itself, or those in it.
pub(super) fn sets(root: &Path, listing: &Listing) -> Vec<Set> {
    let set = |folder: &Path| {
        let test = below(folder, &["test"])?;
        below(&test, &["Ungood"])?;
        Some(Set { name: class_name(&folder_name(folder)), folder: folder.to_owned(), test })
    };
    if let Some(one) = set(root) {
        return vec![one];
    }
    let mut sets: Vec<Set> = listing.folders.iter().filter_map(|f| set(f)).collect();
    distinct(&mut sets, |s| &mut s.name, |s| folder_name(&s.folder));
    sets
}

/// As AA-CLIP calls it: `Retina_RESC_AD` is Retina, `Retina_OCT2017_AD` is another set.
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

/// Where several got the same class name, they are called by their folders.
pub(super) fn distinct<T>(
    sets: &mut [T],
    name: impl Fn(&mut T) -> &mut String,
    folder: impl Fn(&T) -> String,
) {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for set in sets.iter_mut() {
        *counts.entry(name(set).clone()).or_default() += 1;
    }
    for set in sets {
        let folder = folder(set);
        let name = name(set);
        if counts.get(name.as_str()).is_some_and(|&n| n > 1) {
            *name = folder;
        }
    }
}

pub(super) fn read(sets: Vec<Set>, reading: &mut Reading) -> Result<(), DatasetError> {
    for set in sets {
        let mut has_masks = false;
        let mut empty = true;
        for folder in Listing::of(&set.test)?.folders {
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
                        let detail = "neither pictures (img) nor masks are called like this";
                        reading.problem(ProblemKind::UnreadFolder, unread, detail);
                    }
                    reading.listed(&set.name, &kind, label, parts.pictures, &mut masks)
                }
            };
            empty &= count == 0;
            masks.report_orphans(reading);
        }
        if empty {
            reading.problem(ProblemKind::EmptyClass, &set.folder, "there is no picture in its test folders");
        }
        // Some sets have no masks at all: each is settled by itself.
        reading.settle_masks(has_masks);
    }
    Ok(())
}
