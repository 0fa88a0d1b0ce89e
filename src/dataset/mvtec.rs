//! MVTec AD (Bergmann et al. 2019) and what is laid out like it: MPDD, BTAD, and the public part of MVTec AD 2.

use std::path::{Path, PathBuf};

use super::listing::{Listing, below, file_name, folder_name};
use super::masks::Masks;
use super::reading::Reading;
use super::{DatasetError, Label, ProblemKind};

/// The classes of MPDD (Jezek et al. 2021).
const MPDD: [&str; 6] =
    ["bracket_black", "bracket_brown", "bracket_white", "connector", "metal_plate", "tubes"];

/// A class: its test pictures in one folder per kind, and its masks in folders of the same names.
#[derive(Debug)]
pub(super) struct Class {
    name: String,
    folder: PathBuf,
    test: PathBuf,
    ground_truth: Option<PathBuf>,
}

/// The folders with `test/`: `root` itself, or those in it.
pub(super) fn classes(root: &Path, listing: &Listing) -> Vec<Class> {
    let class = |folder: &Path| {
        let test = below(folder, &["test"])?;
        let ground_truth = below(folder, &["ground_truth"]);
        Some(Class { name: folder_name(folder), folder: folder.to_owned(), test, ground_truth })
    };
    one_or_many(root, listing, class)
}

/// MVTec AD 2: the folders with `test_public/`. The private parts have no labels.
pub(super) fn public_classes(root: &Path, listing: &Listing) -> Vec<Class> {
    let class = |folder: &Path| {
        let test = below(folder, &["test_public"])?;
        let ground_truth = below(&test, &["ground_truth"]);
        Some(Class { name: folder_name(folder), folder: folder.to_owned(), test, ground_truth })
    };
    one_or_many(root, listing, class)
}

fn one_or_many(root: &Path, listing: &Listing, class: impl Fn(&Path) -> Option<Class>) -> Vec<Class> {
    match class(root) {
        Some(one) => vec![one],
        None => listing.folders.iter().filter_map(|f| class(f)).collect(),
    }
}

/// Whether it is more than any folder called `test`: good parts or masks are told apart.
pub(super) fn is_mvtec(classes: &[Class]) -> bool {
    classes
        .iter()
        .any(|c| c.ground_truth.is_some() || c.kinds().is_ok_and(|k| k.folders.iter().any(|k| is_good(k))))
}

pub(super) fn is_btad(classes: &[Class]) -> bool {
    classes.iter().any(|c| below(&c.test, &["ko"]).is_some() && below(&c.test, &["ok"]).is_some())
}

pub(super) fn is_mpdd(classes: &[Class]) -> bool {
    !classes.is_empty() && classes.iter().all(|c| MPDD.contains(&c.name.as_str())) && is_mvtec(classes)
}

fn is_good(kind: &Path) -> bool {
    let name = file_name(kind);
    ["good", "ok"].iter().any(|good| name.eq_ignore_ascii_case(good))
}

impl Class {
    /// The test folder; its folders are the kinds.
    fn kinds(&self) -> Result<Listing, DatasetError> {
        let mut kinds = Listing::of(&self.test)?;
        kinds.folders.retain(|k| self.ground_truth.as_ref() != Some(k));
        Ok(kinds)
    }
}

/// Folders that look like a class but have nothing for testing: half unpacked, most likely.
pub(super) fn report_untested(classes: &[Class], listing: &Listing, reading: &mut Reading) {
    for folder in &listing.folders {
        let is_class = classes.iter().any(|c| c.folder == *folder || c.folder == reading.root());
        if is_class {
            continue;
        }
        if ["train", "ground_truth"].iter().any(|part| below(folder, &[part]).is_some()) {
            reading.problem(ProblemKind::EmptyClass, folder, "it has no folder test");
        } else {
            reading.unread(folder);
        }
    }
}

pub(super) fn read(classes: Vec<Class>, reading: &mut Reading) -> Result<(), DatasetError> {
    let mut has_masks = false;
    for class in &classes {
        has_masks |= read_class(class, reading)?;
    }
    reading.settle_masks(has_masks);
    Ok(())
}

/// Adds a class; whether it has masks.
fn read_class(class: &Class, reading: &mut Reading) -> Result<bool, DatasetError> {
    let mut has_masks = false;
    let mut empty = true;
    let Listing { folders: kinds, pictures, .. } = class.kinds()?;
    reading.unlabelled(&pictures);
    for folder in &kinds {
        let kind = file_name(folder);
        let label = if is_good(folder) { Label::Normal } else { Label::Anomalous };
        let of_kind = class.ground_truth.as_ref().and_then(|g| below(g, &[&kind]));
        let mut masks = Masks::of(of_kind.into_iter().collect(), &["_mask", ""], reading)?;
        has_masks |= !masks.is_empty();
        empty &= reading.folder(&class.name, &kind, label, folder, &mut masks)? == 0;
        masks.report_orphans(reading);
    }
    if empty {
        reading.problem(ProblemKind::EmptyClass, &class.folder, "there is no picture in its test folders");
    }
    // Masks of kinds that have no pictures.
    let mask_folders = class.ground_truth.as_ref().map(|g| Listing::of(g)).transpose()?;
    for folder in mask_folders.unwrap_or_default().folders {
        let name = file_name(&folder);
        if !kinds.iter().any(|k| file_name(k).eq_ignore_ascii_case(&name)) {
            let masks = Masks::of(vec![folder], &[""], reading)?;
            has_masks |= !masks.is_empty();
            masks.report_orphans(reading);
        }
    }
    Ok(has_masks)
}
