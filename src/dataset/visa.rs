//! VisA (Zou et al. 2022): the official split, and the archive without one.
//!
//! Its masks number the kinds of defect from 1: what is not 0 is defect.

use std::path::{Path, PathBuf};

use super::listing::{Listing, below, file_name, folder_name, open_metadata};
use super::masks::Masks;
use super::metadata::column;
use super::reading::{Reading, Row};
use super::{DatasetError, Label, ProblemKind};

/// A class without a split.
#[derive(Debug)]
pub(super) struct RawClass {
    name: String,
    folder: PathBuf,
    images: PathBuf,
    masks: Option<PathBuf>,
}

/// The table of the split that is for unsupervised methods: nothing else is for zero-shot ones.
pub(super) fn split_file(root: &Path) -> Option<PathBuf> {
    let file = below(root, &["split_csv"])?.join("1cls.csv");
    file.is_file().then_some(file)
}

/// The folders with `Data/Images`: `root` itself, or those in it.
pub(super) fn raw_classes(root: &Path, listing: &Listing) -> Vec<RawClass> {
    let class = |folder: &Path| {
        let images = below(folder, &["Data", "Images"])?;
        let masks = below(folder, &["Data", "Masks"]);
        Some(RawClass { name: folder_name(folder), folder: folder.to_owned(), images, masks })
    };
    match class(root) {
        Some(one) => vec![one],
        None => listing.folders.iter().filter_map(|f| class(f)).collect(),
    }
}

pub(super) fn read_raw(classes: Vec<RawClass>, reading: &mut Reading) -> Result<(), DatasetError> {
    let mut has_masks = false;
    for class in classes {
        let mut empty = true;
        let images = Listing::of(&class.images)?;
        reading.unlabelled(&images.pictures);
        for folder in images.folders {
            let kind = file_name(&folder);
            let label = if kind.eq_ignore_ascii_case("normal") { Label::Normal } else { Label::Anomalous };
            let of_kind = class.masks.as_ref().and_then(|m| below(m, &[&kind]));
            let mut masks = Masks::of(of_kind.into_iter().collect(), &["", "_mask"], reading)?;
            has_masks |= !masks.is_empty();
            empty &= reading.folder(&class.name, &kind, label, &folder, &mut masks)? == 0;
            masks.report_orphans(reading);
        }
        if empty {
            reading.problem(ProblemKind::EmptyClass, &class.folder, "there is no picture in Data/Images");
        }
    }
    reading.settle_masks(has_masks);
    Ok(())
}

pub(super) fn read_split(file: &Path, reading: &mut Reading) -> Result<(), DatasetError> {
    let wrong = |e: csv::Error| DatasetError::Metadata { path: file.to_owned(), reason: e.to_string() };
    let mut table =
        csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(open_metadata(file)?);
    let header = table.headers().map_err(wrong)?.clone();
    let [object, split, label, image] =
        ["object", "split", "label", "image"].map(|name| column(&header, name, file));
    let (object, split, label, image) = (object?, split?, label?, image?);
    let mask = column(&header, "mask", file).ok();

    for record in table.records() {
        let record = match record {
            Ok(record) => record,
            Err(e) => {
                reading.bad_line(file, "a line", &e.to_string())?;
                continue;
            }
        };
        let place = format!("line {}", record.position().map_or(0, csv::Position::line));
        let field = |i: usize| record.get(i).unwrap_or_default();
        if field(split) != "test" {
            continue;
        }
        let label = match field(label) {
            "normal" => Label::Normal,
            "anomaly" => Label::Anomalous,
            other => {
                let reason = format!("the label is `{other}`, expected normal or anomaly");
                reading.bad_line(file, &place, &reason)?;
                continue;
            }
        };
        if field(object).is_empty() {
            reading.bad_line(file, &place, "it names no object")?;
            continue;
        }
        let row = Row {
            class: field(object).to_owned(),
            image: field(image).to_owned(),
            label,
            mask: mask.map(|i| field(i).to_owned()),
            kind: None,
        };
        reading.row(row, file, &place)?;
    }
    Ok(())
}
