//! VisA (Zou et al. 2022): the official split, and the archive without one.
//!
//! Its masks number the kinds of defect from 1: every value except 0 is a defect.

use std::path::{Path, PathBuf};

use super::classes::{self, Class, Kind, one_or_many};
use super::listing::{Listing, below, file_name, folder_name};
use super::reading::{Reading, Row};
use super::table::Table;
use super::{DatasetError, Label};

/// The table of the split for unsupervised methods; there is no other for zero-shot methods.
pub(super) fn split_file(root: &Path) -> Option<PathBuf> {
    let file = below(root, &["split_csv"])?.join("1cls.csv");
    file.is_file().then_some(file)
}

/// The folders with `Data/Images`: `root` itself, or folders in it.
pub(super) fn raw_classes(root: &Path, listing: &Listing) -> Vec<Class> {
    one_or_many(root, listing, |folder| {
        let images = below(folder, &["Data", "Images"])?;
        let masks = below(folder, &["Data", "Masks"]);
        Some(Class { name: folder_name(folder), folder: folder.to_owned(), images, masks })
    })
}

pub(super) fn read_raw(classes: Vec<Class>, reading: &mut Reading) -> Result<(), DatasetError> {
    let mut has_masks = false;
    for class in classes {
        let images = Listing::of(&class.images)?;
        reading.unlabelled(&images.pictures);
        let kind = |folder: PathBuf| {
            let name = file_name(&folder);
            let label = if name.eq_ignore_ascii_case("normal") { Label::Normal } else { Label::Anomalous };
            let masks = class.masks.as_ref().and_then(|m| below(m, &[&name])).into_iter().collect();
            Kind { name, folder, label, masks }
        };
        has_masks |=
            classes::read(&class, images.folders.into_iter().map(kind).collect(), &["", "_mask"], reading)?;
    }
    reading.settle_masks(has_masks);
    Ok(())
}

pub(super) fn read_split(file: PathBuf, reading: &mut Reading) -> Result<(), DatasetError> {
    let mut table = Table::open(&file)?;
    let column = |name| table.column(name);
    let (object, split, label, image) =
        (column("object")?, column("split")?, column("label")?, column("image")?);
    let mask = column("mask").ok();
    while let Some((place, row)) = table.next(reading)? {
        let field = |i: usize| row.get(i).unwrap_or_default();
        if field(split) != "test" {
            continue;
        }
        let label = match field(label) {
            "normal" => Label::Normal,
            "anomaly" => Label::Anomalous,
            other => {
                let reason = format!("the label is `{other}`, expected normal or anomaly");
                reading.bad_line(&file, &place, &reason)?;
                continue;
            }
        };
        if field(object).is_empty() {
            reading.bad_line(&file, &place, "it names no object")?;
            continue;
        }
        let row = Row {
            class: field(object).to_owned(),
            image: field(image).to_owned(),
            label,
            mask: mask.map(|i| field(i).to_owned()),
            kind: None,
        };
        reading.row(row, &file, &place)?;
    }
    Ok(())
}
