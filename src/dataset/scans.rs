//! HeadCT and BrainMRI: scans with image labels only.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::listing::{Listing, below, stem};
use super::masks::Masks;
use super::reading::Reading;
use super::table::Table;
use super::{DatasetError, Label, ProblemKind};

/// The pictures of HeadCT and their table.
#[derive(Debug)]
pub(super) struct HeadCt {
    pictures: PathBuf,
    labels: PathBuf,
}

/// Finds `head_ct/` (nested twice in the archive) and `labels.csv` beside or above it.
pub(super) fn head_ct(root: &Path) -> Option<HeadCt> {
    let places = [below(root, &["head_ct", "head_ct"]), below(root, &["head_ct"]), Some(root.to_owned())];
    let pictures =
        places.into_iter().flatten().find(|p| Listing::of(p).is_ok_and(|l| !l.pictures.is_empty()))?;
    let above = [Some(pictures.clone()), pictures.parent().map(Path::to_owned), Some(root.to_owned())];
    let is_table = |file: &PathBuf| file.is_file() && columns(file).is_ok();
    let labels = above.into_iter().flatten().map(|p| p.join("labels.csv")).find(is_table)?;
    Some(HeadCt { pictures, labels })
}

/// The table and its columns id and hemorrhage.
fn columns(file: &Path) -> Result<(Table<'_>, usize, usize), DatasetError> {
    let table = Table::open(file)?;
    let (id, label) = (table.column("id")?, table.column("hemorrhage")?);
    Ok((table, id, label))
}

pub(super) fn read_head_ct(set: HeadCt, reading: &mut Reading) -> Result<(), DatasetError> {
    let file = &set.labels;
    let (mut table, id, label) = columns(file)?;
    let mut labels: HashMap<u64, (Label, String)> = HashMap::new();
    while let Some((place, row)) = table.next(reading)? {
        let label = match row.get(label) {
            Some("0") => Label::Normal,
            Some("1") => Label::Anomalous,
            other => {
                let reason = format!("hemorrhage is `{}`, expected 0 or 1", other.unwrap_or_default());
                reading.bad_line(file, &place, &reason)?;
                continue;
            }
        };
        match row.get(id).and_then(|id| id.parse().ok()) {
            None => reading.bad_line(file, &place, "the id is not a number")?,
            Some(id) if labels.contains_key(&id) => {
                reading.bad_line(
                    file,
                    &place,
                    &format!("the id {id} appears twice; the first one is used"),
                )?;
            }
            Some(id) => drop(labels.insert(id, (label, place))),
        }
    }
    for picture in reading.pictures(&set.pictures)? {
        match stem(&picture).parse().ok().and_then(|id: u64| labels.remove(&id)) {
            Some((label, _)) => {
                let kind = if label == Label::Normal { "good" } else { "hemorrhage" };
                reading.picture("HeadCT", kind, label, picture);
            }
            None => {
                let detail = format!("{} has no line with its id", file.display());
                reading.problem(ProblemKind::MissingLabel, &picture, detail);
            }
        }
    }
    let mut left: Vec<_> = labels.into_iter().collect();
    left.sort_by_key(|(id, _)| *id);
    for (id, (_, place)) in left {
        let picture = set.pictures.join(format!("{id:03}.png"));
        let detail = format!("{place} of {} labels it, but the file does not exist", file.display());
        reading.problem(ProblemKind::MissingPicture, &picture, detail);
    }
    Ok(())
}

/// The folders `no` and `yes` of BrainMRI, which are in the archive twice.
pub(super) fn brain_mri(root: &Path) -> Option<(PathBuf, PathBuf)> {
    let places = [Some(root.to_owned()), below(root, &["brain_tumor_dataset"])];
    places.into_iter().flatten().find_map(|p| Some((below(&p, &["no"])?, below(&p, &["yes"])?)))
}

pub(super) fn read_brain_mri(
    (no, yes): (PathBuf, PathBuf),
    reading: &mut Reading,
) -> Result<(), DatasetError> {
    reading.folder("BrainMRI", "no", Label::Normal, &no, &mut Masks::none())?;
    reading.folder("BrainMRI", "yes", Label::Anomalous, &yes, &mut Masks::none())?;
    reading.settle_masks(false);
    Ok(())
}
