//! MVTec AD (Bergmann et al. 2019) and data sets of the same layout: MPDD, BTAD, MVTec LOCO AD, and
//! the public part of MVTec AD 2.

use std::path::{Path, PathBuf};

use super::classes::{self, Class, Kind, one_or_many};
use super::listing::{Listing, below, file_name, folder_name, stem};
use super::masks::Masks;
use super::reading::Reading;
use super::{DatasetError, Label, ProblemKind};

/// The classes of MPDD (Jezek et al. 2021).
const MPDD: [&str; 6] =
    ["bracket_black", "bracket_brown", "bracket_white", "connector", "metal_plate", "tubes"];

/// The folders with `test/`: `root` itself, or folders in it.
pub(super) fn classes(root: &Path, listing: &Listing) -> Vec<Class> {
    one_or_many(root, listing, |folder| class(folder, "test", |_| below(folder, &["ground_truth"])))
}

/// MVTec AD 2: the folders with `test_public/`. The private parts have no labels.
pub(super) fn public_classes(root: &Path, listing: &Listing) -> Vec<Class> {
    one_or_many(root, listing, |folder| class(folder, "test_public", |test| below(test, &["ground_truth"])))
}

fn class(folder: &Path, test: &str, masks: impl Fn(&Path) -> Option<PathBuf>) -> Option<Class> {
    let images = below(folder, &[test])?;
    let masks = masks(&images);
    Some(Class { name: folder_name(folder), folder: folder.to_owned(), images, masks })
}

/// Whether there are folders of good parts or of masks: a folder `test` alone is not enough.
pub(super) fn is_mvtec(classes: &[Class]) -> bool {
    let has_good = |class: &Class| kinds(class).is_ok_and(|k| k.folders.iter().any(|k| is_good(k)));
    classes.iter().any(|class| class.masks.is_some() || has_good(class))
}

/// Whether the masks of an anomalous picture are in a folder of their own.
pub(super) fn is_loco(classes: &[Class]) -> bool {
    let has_folders =
        |kind: &PathBuf| Listing::of(kind).is_ok_and(|l| l.pictures.is_empty() && !l.folders.is_empty());
    let nested = |masks: &PathBuf| Listing::of(masks).is_ok_and(|l| l.folders.iter().any(has_folders));
    classes.iter().any(|class| class.masks.as_ref().is_some_and(nested))
}

pub(super) fn is_btad(classes: &[Class]) -> bool {
    classes.iter().any(|c| below(&c.images, &["ko"]).is_some() && below(&c.images, &["ok"]).is_some())
}

pub(super) fn is_mpdd(classes: &[Class]) -> bool {
    !classes.is_empty() && classes.iter().all(|c| MPDD.contains(&c.name.as_str())) && is_mvtec(classes)
}

fn is_good(kind: &Path) -> bool {
    let name = file_name(kind);
    ["good", "ok"].iter().any(|good| name.eq_ignore_ascii_case(good))
}

/// The test folder of a class, with one folder per kind.
fn kinds(class: &Class) -> Result<Listing, DatasetError> {
    let mut kinds = Listing::of(&class.images)?;
    kinds.folders.retain(|k| class.masks.as_ref() != Some(k));
    Ok(kinds)
}

/// The classes, and all folders of the data set.
pub(super) fn found(root: &Path, listing: &Listing) -> Option<(Vec<Class>, Vec<PathBuf>)> {
    let classes = classes(root, listing);
    (!classes.is_empty()).then(|| (classes, listing.folders.clone()))
}

/// Reads the classes of MVTec LOCO AD (Bergmann et al. 2022). The masks of a picture's defects are united.
pub(super) fn read_loco(
    found: (Vec<Class>, Vec<PathBuf>),
    reading: &mut Reading,
) -> Result<(), DatasetError> {
    read_with(found, reading, read_loco_class)
}

/// Reads the classes. A folder that looks like a class but has no test folder is a problem: it is probably
/// incomplete.
pub(super) fn read_tested(
    found: (Vec<Class>, Vec<PathBuf>),
    reading: &mut Reading,
) -> Result<(), DatasetError> {
    read_with(found, reading, read_class)
}

/// Adds a class; returns whether it has masks.
type ReadClass = fn(&Class, &mut Reading) -> Result<bool, DatasetError>;

fn read_with(
    (classes, folders): (Vec<Class>, Vec<PathBuf>),
    reading: &mut Reading,
    each: ReadClass,
) -> Result<(), DatasetError> {
    for folder in &folders {
        if classes.iter().any(|c| c.folder == *folder || c.folder == reading.root()) {
            continue;
        }
        if ["train", "ground_truth"].iter().any(|part| below(folder, &[part]).is_some()) {
            reading.problem(ProblemKind::EmptyClass, folder, "it has no folder test");
        } else {
            reading.unread(folder);
        }
    }
    read_all(classes, reading, each)
}

pub(super) fn read(classes: Vec<Class>, reading: &mut Reading) -> Result<(), DatasetError> {
    read_all(classes, reading, read_class)
}

fn read_all(classes: Vec<Class>, reading: &mut Reading, each: ReadClass) -> Result<(), DatasetError> {
    let mut has_masks = false;
    for class in &classes {
        has_masks |= each(class, reading)?;
    }
    reading.settle_masks(has_masks);
    Ok(())
}

/// [`ReadClass`] for MVTec LOCO AD: the masks of `test/KIND/NNN.png` are the files in `ground_truth/KIND/NNN/`.
fn read_loco_class(class: &Class, reading: &mut Reading) -> Result<bool, DatasetError> {
    let Listing { folders, pictures, .. } = kinds(class)?;
    reading.unlabelled(&pictures);
    let (mut has_masks, mut count) = (false, 0);
    for kind in &folders {
        let name = file_name(kind);
        let label = if is_good(kind) { Label::Normal } else { Label::Anomalous };
        let of_kind = class.masks.as_ref().and_then(|masks| below(masks, &[&name]));
        let mut left =
            of_kind.as_ref().map(|folder| Listing::of(folder)).transpose()?.unwrap_or_default().folders;
        for picture in reading.pictures(kind)? {
            count += 1;
            let own =
                left.iter().position(|folder| file_name(folder) == stem(&picture)).map(|at| left.remove(at));
            let masks = own.map_or(Ok(Vec::new()), |folder| reading.masks(&folder))?;
            has_masks |= !masks.is_empty();
            if label == Label::Anomalous {
                let place = of_kind.as_ref().unwrap_or(&class.folder).join(stem(&picture));
                let wanted = format!("no mask in {}", place.display());
                reading.anomalous(&class.name, &name, picture, masks, wanted);
            } else {
                reading.picture(&class.name, &name, label, picture);
            }
        }
        for folder in left {
            for mask in reading.masks(&folder)? {
                reading.problem(ProblemKind::OrphanMask, &mask, "no picture has this mask");
            }
        }
    }
    if count == 0 {
        let detail = format!("the folders of {} contain no picture", file_name(&class.images));
        reading.problem(ProblemKind::EmptyClass, &class.folder, detail);
    }
    Ok(has_masks)
}

/// Adds a class; returns whether it has masks.
fn read_class(class: &Class, reading: &mut Reading) -> Result<bool, DatasetError> {
    let Listing { folders, pictures, .. } = kinds(class)?;
    reading.unlabelled(&pictures);
    let kind = |folder: &PathBuf| Kind {
        name: file_name(folder),
        label: if is_good(folder) { Label::Normal } else { Label::Anomalous },
        masks: class.masks.as_ref().and_then(|m| below(m, &[&file_name(folder)])).into_iter().collect(),
        folder: folder.clone(),
    };
    let mut has_masks = classes::read(class, folders.iter().map(kind).collect(), &["_mask", ""], reading)?;
    // Masks of kinds without pictures.
    let mask_folders = class.masks.as_ref().map(|g| Listing::of(g)).transpose()?;
    for folder in mask_folders.unwrap_or_default().folders {
        let name = file_name(&folder);
        if !folders.iter().any(|k| file_name(k).eq_ignore_ascii_case(&name)) {
            let masks = Masks::of(vec![folder], &[""], reading)?;
            has_masks |= !masks.is_empty();
            masks.report_orphans(reading);
        }
    }
    Ok(has_masks)
}
