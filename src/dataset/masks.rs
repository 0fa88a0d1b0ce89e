//! Finds the mask of each picture.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::listing::{file_name, stem};
use super::reading::Reading;
use super::{DatasetError, ProblemKind};

/// Folders of masks in the known layouts. BMAD's `label` is not among them: parts have labels, too.
const FOLDERS: [&str; 7] =
    ["ground_truth", "ground truth", "groundtruth", "masks", "mask", "anomaly_mask", "gtpolyp"];

/// Whether a folder has masks by its name, as in the layouts of data sets; its pictures are not for scoring.
pub fn is_mask_folder(folder: &Path) -> bool {
    let name = file_name(folder).to_ascii_lowercase();
    FOLDERS.contains(&name.as_str()) || name.ends_with("_groundtruth")
}

/// The masks of a folder, found by the name of the picture without its ending.
#[derive(Debug)]
pub(super) struct Masks {
    folders: Vec<PathBuf>,
    by_stem: HashMap<String, Vec<PathBuf>>,
    used: HashSet<PathBuf>,
    suffixes: &'static [&'static str],
}

impl Masks {
    /// The masks in `folders`; the mask of `X` is `X` with one of `suffixes`, the first that exists.
    pub fn of(
        folders: Vec<PathBuf>,
        suffixes: &'static [&'static str],
        reading: &mut Reading,
    ) -> Result<Self, DatasetError> {
        let mut by_stem: HashMap<String, Vec<PathBuf>> = HashMap::new();
        for folder in &folders {
            for mask in reading.masks(folder)? {
                by_stem.entry(stem(&mask)).or_default().push(mask);
            }
        }
        Ok(Self { folders, by_stem, used: HashSet::new(), suffixes })
    }

    /// No masks.
    pub fn none() -> Self {
        Self { folders: Vec::new(), by_stem: HashMap::new(), used: HashSet::new(), suffixes: &[] }
    }

    /// The folders with masks.
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// Whether there are no masks.
    pub fn is_empty(&self) -> bool {
        self.by_stem.is_empty()
    }

    /// The mask of `picture`; several masks are a problem.
    pub fn take(&mut self, picture: &Path, reading: &mut Reading) -> Option<PathBuf> {
        let stem = stem(picture);
        let mut found: Option<PathBuf> = None;
        for suffix in self.suffixes {
            for mask in self.by_stem.get(&format!("{stem}{suffix}")).into_iter().flatten() {
                let first_use = self.used.insert(mask.clone());
                match &found {
                    None => found = Some(mask.clone()),
                    Some(first) if first_use => {
                        let detail =
                            format!("a second mask of {}; {} is used", picture.display(), first.display());
                        reading.problem(ProblemKind::Duplicate, mask, detail);
                    }
                    Some(_) => {}
                }
            }
        }
        found
    }

    /// A description of the expected masks of `picture`.
    pub fn wanted(&self, picture: &Path) -> String {
        let stem = stem(picture);
        let names: Vec<String> = self.suffixes.iter().map(|suffix| format!("{stem}{suffix}")).collect();
        let folders: Vec<String> = self.folders.iter().map(|f| f.display().to_string()).collect();
        match &folders[..] {
            [] => "no folder contains masks for it".to_owned(),
            some => format!(
                "no {} (with the ending of a picture, or .npy) in {}",
                names.join(" or "),
                some.join(" or ")
            ),
        }
    }

    /// Reports masks without a picture as problems.
    pub fn report_orphans(self, reading: &mut Reading) {
        let mut orphans: Vec<PathBuf> =
            self.by_stem.into_values().flatten().filter(|m| !self.used.contains(m)).collect();
        orphans.sort();
        for mask in orphans {
            reading.problem(ProblemKind::OrphanMask, &mask, "no picture has this mask");
        }
    }
}
