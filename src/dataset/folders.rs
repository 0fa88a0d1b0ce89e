//! The user's own parts: a folder of good ones, a folder of defective ones, and optionally a folder of masks.

use std::path::{Path, PathBuf};

use super::listing::{Listing, below, file_name, folder_name};
use super::masks::Masks;
use super::reading::Reading;
use super::{DatasetError, Label, ProblemKind};

const GOOD: [&str; 3] = ["good", "ok", "normal"];
const DEFECT: [&str; 12] = [
    "defect",
    "defects",
    "defective",
    "bad",
    "anomaly",
    "anomalies",
    "anomalous",
    "abnormal",
    "damaged",
    "ko",
    "nok",
    "ng",
];
const MASKS: [&str; 4] = ["masks", "mask", "ground_truth", "ground truth"];

fn among(folder: &Path, names: &[&str]) -> bool {
    names.iter().any(|name| file_name(folder).eq_ignore_ascii_case(name))
}

/// The folder with good and defective parts.
pub(super) fn found(root: &Path, listing: &Listing) -> Option<(PathBuf, Listing)> {
    let any = |names: &[&str]| listing.folders.iter().any(|f| among(f, names));
    (any(&GOOD) && any(&DEFECT)).then(|| (root.to_owned(), listing.clone()))
}

pub(super) fn read((root, listing): (PathBuf, Listing), reading: &mut Reading) -> Result<(), DatasetError> {
    let class = folder_name(&root);
    let of = |names: &[&str]| listing.folders.iter().filter(|f| among(f, names)).cloned().collect::<Vec<_>>();
    let (good, defect, masks) = (of(&GOOD), of(&DEFECT), of(&MASKS));
    reading.unlabelled(&listing.pictures);
    let known = |f: &Path| [&GOOD[..], &DEFECT, &MASKS].iter().any(|names| among(f, names));
    listing.folders.iter().filter(|f| !known(f)).for_each(|f| reading.unread(f));
    // One folder of masks per folder of pictures, or one for all.
    let kinds: Vec<String> = good.iter().chain(&defect).map(|f| file_name(f)).collect();
    let own = |kind: &str| masks.iter().find_map(|m| below(m, &[kind]));
    let nested: Vec<PathBuf> = kinds.iter().filter_map(|kind| own(kind)).collect();
    let mut shared =
        if nested.is_empty() { Masks::of(masks.clone(), &["", "_mask"], reading)? } else { Masks::none() };

    for (label, folders) in [(Label::Normal, good), (Label::Anomalous, defect)] {
        for folder in folders {
            let kind = file_name(&folder);
            let count = if nested.is_empty() {
                reading.folder(&class, &kind, label, &folder, &mut shared)?
            } else {
                let mut masks = Masks::of(own(&kind).into_iter().collect(), &["", "_mask"], reading)?;
                let count = reading.folder(&class, &kind, label, &folder, &mut masks)?;
                masks.report_orphans(reading);
                count
            };
            if count == 0 {
                reading.problem(ProblemKind::EmptyClass, &folder, "it contains no picture");
            }
        }
    }
    shared.report_orphans(reading);
    reading.settle_masks(!masks.is_empty());
    Ok(())
}
