//! HeadCT and BrainMRI: scans with image labels only.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::listing::{Listing, below, open_metadata, stem};
use super::masks::Masks;
use super::metadata::column;
use super::reading::Reading;
use super::{DatasetError, Label, ProblemKind};

/// The pictures of HeadCT and their table.
#[derive(Debug)]
pub(super) struct HeadCt {
    pictures: PathBuf,
    labels: PathBuf,
}

/// `head_ct/` (the archive nests two) and `labels.csv` beside or above it.
pub(super) fn head_ct(root: &Path) -> Option<HeadCt> {
    let places = [below(root, &["head_ct", "head_ct"]), below(root, &["head_ct"]), Some(root.to_owned())];
    let pictures =
        places.into_iter().flatten().find(|p| Listing::of(p).is_ok_and(|l| !l.pictures.is_empty()))?;
    let above = [Some(pictures.clone()), pictures.parent().map(Path::to_owned), Some(root.to_owned())];
    let is_table = |file: &PathBuf| file.is_file() && open_table(file).is_ok();
    let labels = above.into_iter().flatten().map(|p| p.join("labels.csv")).find(is_table)?;
    Some(HeadCt { pictures, labels })
}

/// The table and its columns id and hemorrhage.
fn open_table(file: &Path) -> Result<(csv::Reader<impl Read + use<>>, usize, usize), DatasetError> {
    let wrong = |e: csv::Error| DatasetError::Metadata { path: file.to_owned(), reason: e.to_string() };
    let mut table =
        csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(open_metadata(file)?);
    let header = table.headers().map_err(wrong)?.clone();
    let (id, label) = (column(&header, "id", file)?, column(&header, "hemorrhage", file)?);
    Ok((table, id, label))
}

pub(super) fn read_head_ct(set: HeadCt, reading: &mut Reading) -> Result<(), DatasetError> {
    let file = &set.labels;
    let (mut table, id, label) = open_table(file)?;
    let mut labels: HashMap<u64, Label> = HashMap::new();
    let mut places: BTreeMap<u64, String> = BTreeMap::new();
    for record in table.records() {
        let record = match record {
            Ok(record) => record,
            Err(e) => {
                reading.bad_line(file, "a line", &e.to_string())?;
                continue;
            }
        };
        let place = format!("line {}", record.position().map_or(0, csv::Position::line));
        let label = match record.get(label) {
            Some("0") => Label::Normal,
            Some("1") => Label::Anomalous,
            other => {
                let reason = format!("hemorrhage is `{}`, expected 0 or 1", other.unwrap_or_default());
                reading.bad_line(file, &place, &reason)?;
                continue;
            }
        };
        let Some(id) = record.get(id).and_then(|id| id.parse().ok()) else {
            reading.bad_line(file, &place, "the id is not a number")?;
            continue;
        };
        if labels.contains_key(&id) {
            reading.bad_line(file, &place, &format!("the id {id} is there twice; the first one counts"))?;
            continue;
        }
        labels.insert(id, label);
        places.insert(id, place);
    }
    for picture in reading.pictures(&set.pictures)? {
        let id = stem(&picture).parse::<u64>().ok();
        match id.and_then(|id| Some((id, *labels.get(&id)?))) {
            Some((id, label)) => {
                places.remove(&id);
                let kind = if label == Label::Normal { "good" } else { "hemorrhage" };
                reading.picture("HeadCT", kind, label, picture);
            }
            None => {
                let detail = format!("{} has no line with its number", file.display());
                reading.problem(ProblemKind::MissingLabel, &picture, detail);
            }
        }
    }
    for (id, place) in places {
        let picture = set.pictures.join(format!("{id:03}.png"));
        let detail = format!("{place} of {} labels it, but there is no such file", file.display());
        reading.problem(ProblemKind::MissingPicture, &picture, detail);
    }
    Ok(())
}

/// The folders `no` and `yes` of BrainMRI; the archive has them twice.
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
