//! Real-IAD (Wang et al. 2024): one file `CLASS.json` per class, which lists pictures and masks below a folder.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::listing::{Listing, below, inside};
use super::metadata::{has_ending, read_json};
use super::reading::{Reading, Row};
use super::{DatasetError, Label};

/// Folders with the files of classes, beside those of the pictures in the published archives.
const LISTS: [&[&str]; 2] = [&["realiad_jsons"], &["realiad_jsons", "realiad_jsons"]];

/// Folders of the pictures in several sizes, the largest first.
const PICTURES: [&str; 4] = ["realiad_raw", "realiad_1024", "realiad_512", "realiad_256"];

/// What tells such a file from others.
#[derive(Deserialize)]
struct Sketch {
    #[serde(rename = "meta")]
    _meta: Meta,
    #[serde(rename = "test")]
    _test: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
struct Meta {
    /// The folder of the pictures.
    prefix: String,
    #[serde(default = "ok")]
    normal_class: String,
}

#[derive(Deserialize)]
struct Content {
    meta: Meta,
    test: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Entry {
    category: String,
    /// The normal class, or a code for the kind of defect.
    anomaly_class: String,
    image_path: String,
    mask_path: Option<String>,
}

fn ok() -> String {
    "OK".to_owned()
}

/// The files of classes: `root` itself, or those in it.
pub(super) fn files(root: &Path, is_file: bool, listing: &Listing) -> Vec<PathBuf> {
    let is_class = |file: &PathBuf| has_ending(file, "json") && read_json::<Sketch>(file).is_ok();
    if is_file {
        return Some(root.to_owned()).filter(is_class).into_iter().collect();
    }
    let among = |files: &[PathBuf]| files.iter().filter(|f| is_class(f)).cloned().collect::<Vec<_>>();
    let own = among(&listing.others);
    let lists = || LISTS.iter().filter_map(|names| Listing::of(&below(root, names)?).ok());
    if own.is_empty() {
        lists().map(|l| among(&l.others)).find(|l| !l.is_empty()).unwrap_or_default()
    } else {
        own
    }
}

/// Reads the test pictures of all classes.
pub(super) fn read(files: Vec<PathBuf>, reading: &mut Reading) -> Result<(), DatasetError> {
    for file in &files {
        let Content { meta, test } = read_json(file)?;
        let base = base(reading.root(), &meta.prefix);
        for (i, entry) in test.into_iter().enumerate() {
            let place = format!("test[{i}]");
            let entry: Entry = match serde_json::from_value(entry) {
                Ok(entry) => entry,
                Err(e) => {
                    reading.bad_line(file, &place, &e.to_string())?;
                    continue;
                }
            };
            let is_normal = entry.anomaly_class == meta.normal_class;
            let row = Row {
                class: entry.category.trim_end_matches('/').to_owned(),
                image: format!("{base}{}", entry.image_path),
                label: if is_normal { Label::Normal } else { Label::Anomalous },
                mask: entry.mask_path.filter(|mask| !mask.is_empty()).map(|mask| format!("{base}{mask}")),
                kind: Some(if is_normal { "good".to_owned() } else { entry.anomaly_class }),
            };
            reading.row(row, file, &place)?;
        }
    }
    Ok(())
}

/// The folder of a class's pictures below `root`, up to its last `/`.
fn base(root: &Path, prefix: &str) -> String {
    let Some(parts) = inside(prefix) else { return prefix.to_owned() };
    let prefix = parts.join("/");
    let sizes = PICTURES.iter().map(|size| format!("{size}/{prefix}"));
    let places = std::iter::once(prefix.clone()).chain(sizes);
    let there =
        places.into_iter().find(|place| fs::metadata(root.join(place)).is_ok_and(|about| about.is_dir()));
    format!("{}/", there.unwrap_or(prefix))
}
