//! The samples and problems collected while reading a data set.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use super::listing::{Listing, inside};
use super::masks::Masks;
use super::{Dataset, DatasetError, Label, Layout, Mask, Problem, ProblemKind, Sample};
use crate::image::{PICTURE_ENDINGS, is_array_name};
use crate::passed::PassedOver;

/// Largest number of unusable lines in one file.
const MAX_BAD_LINES: usize = 10_000;

/// A data set during reading.
#[derive(Debug)]
pub(super) struct Reading {
    root: PathBuf,
    samples: Vec<Sample>,
    problems: Vec<Problem>,
    /// Anomalous pictures without a mask, with the expected places of the mask: problems only if there are
    /// masks at all.
    maskless: Vec<(PathBuf, String)>,
    /// Names of rows already added.
    seen: HashSet<String>,
    bad_lines: usize,
    /// The listed folders of pictures, and of masks (`true`).
    visited: BTreeMap<PathBuf, bool>,
}

/// A picture in a table or metadata file; paths as written there.
#[derive(Debug)]
pub(super) struct Row {
    pub class: String,
    pub image: String,
    pub label: Label,
    pub mask: Option<String>,
    /// `None`: the folder of the picture.
    pub kind: Option<String>,
}

impl Reading {
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            samples: Vec::new(),
            problems: Vec::new(),
            maskless: Vec::new(),
            seen: HashSet::new(),
            bad_lines: 0,
            visited: BTreeMap::new(),
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn problem(&mut self, kind: ProblemKind, path: &Path, detail: impl Into<String>) {
        self.problems.push(Problem { path: path.to_owned(), kind, detail: detail.into() });
    }

    /// The pictures of a folder where only pictures are expected. Folders in it are reported and not read.
    pub fn pictures(&mut self, folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
        self.files(folder, false).map(|listing| listing.pictures)
    }

    /// The masks of a folder: pictures and NumPy arrays. Folders in it are reported and not read.
    pub fn masks(&mut self, folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
        let Listing { mut pictures, others, .. } = self.files(folder, true)?;
        pictures.extend(others.into_iter().filter(|file| is_array_name(file)));
        pictures.sort();
        Ok(pictures)
    }

    fn files(&mut self, folder: &Path, masks: bool) -> Result<Listing, DatasetError> {
        let listing = Listing::of(folder)?;
        self.visit(folder, masks);
        for unread in &listing.folders {
            self.problem(ProblemKind::UnreadFolder, unread, "only pictures are expected here");
        }
        Ok(listing)
    }

    /// Remembers a folder of pictures or of masks, whose other files are counted at the end.
    pub fn visit(&mut self, folder: &Path, masks: bool) {
        self.visited.insert(folder.to_owned(), masks);
    }

    /// Counts what is in the visited folders, and hidden in those above them, and reports files that may be pictures.
    fn pass_over(&mut self) -> PassedOver {
        let mut passed = PassedOver::default();
        let visited = std::mem::take(&mut self.visited);
        let above = visited.keys().flat_map(|f| f.ancestors().take_while(|a| a.starts_with(&self.root)));
        let all: BTreeSet<PathBuf> =
            above.chain(visited.keys().map(PathBuf::as_path)).map(Path::to_owned).collect();
        for folder in all {
            let Ok(listing) = Listing::of(&folder) else { continue };
            passed.hidden_files += listing.hidden[0];
            passed.hidden_folders += listing.hidden[1];
            let Some(masks) = visited.get(&folder) else { continue };
            for file in listing.others.iter().filter(|file| !(*masks && is_array_name(file))) {
                passed.add_other(file);
                if !is_text_name(file) {
                    let detail = format!("its ending is none of {}", PICTURE_ENDINGS.join(", "));
                    self.problem(ProblemKind::OtherFile, file, detail);
                }
            }
        }
        passed
    }

    /// A picture of a data set without masks.
    pub fn picture(&mut self, class: &str, kind: &str, label: Label, path: PathBuf) {
        let mask = if label == Label::Normal { Mask::None } else { Mask::Unlabelled };
        self.push(class, kind, path, label, mask);
    }

    /// An anomalous picture with the masks of its defects; `wanted` describes the expected place if there are none.
    pub fn anomalous(&mut self, class: &str, kind: &str, path: PathBuf, masks: Vec<PathBuf>, wanted: String) {
        let mask = match masks.len() {
            0 => {
                self.maskless.push((path.clone(), wanted));
                Mask::Unlabelled
            }
            _ => Mask::Files(masks),
        };
        self.push(class, kind, path, Label::Anomalous, mask);
    }

    /// Adds the pictures of a folder, with masks if they are anomalous; returns their number.
    pub fn folder(
        &mut self,
        class: &str,
        kind: &str,
        label: Label,
        folder: &Path,
        masks: &mut Masks,
    ) -> Result<usize, DatasetError> {
        let pictures = self.pictures(folder)?;
        Ok(self.listed(class, kind, label, pictures, masks))
    }

    /// [`Reading::folder`] with listed pictures.
    pub fn listed(
        &mut self,
        class: &str,
        kind: &str,
        label: Label,
        pictures: Vec<PathBuf>,
        masks: &mut Masks,
    ) -> usize {
        let count = pictures.len();
        for picture in pictures {
            // Also for normal pictures: some data sets have all-black masks for them, which are not orphans.
            let found = masks.take(&picture, self);
            match (label, found) {
                (Label::Normal, _) => self.picture(class, kind, label, picture),
                (Label::Anomalous, Some(mask)) => {
                    self.push(class, kind, picture, Label::Anomalous, Mask::File(mask));
                }
                (Label::Anomalous, None) => {
                    self.maskless.push((picture.clone(), masks.wanted(&picture)));
                    self.picture(class, kind, label, picture);
                }
            }
        }
        count
    }

    /// Ends a part of the data set: if it `has_masks`, an anomalous picture without one is a problem.
    pub fn settle_masks(&mut self, has_masks: bool) {
        for (picture, wanted) in std::mem::take(&mut self.maskless) {
            if has_masks {
                self.problem(ProblemKind::MissingMask, &picture, wanted);
            }
        }
    }

    /// Reports a line or entry of `file` that cannot be used.
    ///
    /// # Errors
    /// There are too many such lines.
    pub fn bad_line(&mut self, file: &Path, place: &str, reason: &str) -> Result<(), DatasetError> {
        self.bad_lines += 1;
        if self.bad_lines > MAX_BAD_LINES {
            let reason =
                format!("more than {MAX_BAD_LINES} entries cannot be used, the last one: {place}: {reason}");
            return Err(DatasetError::Metadata(file.to_owned(), reason));
        }
        self.problem(ProblemKind::BadLine, file, format!("{place}: {reason}"));
        Ok(())
    }

    /// Reports pictures where only folders are expected: they have no label.
    pub fn unlabelled(&mut self, pictures: &[PathBuf]) {
        for picture in pictures {
            self.problem(ProblemKind::MissingLabel, picture, "no folder of its path gives a label");
        }
    }

    /// Reports a folder with an unknown name if it has pictures.
    pub fn unread(&mut self, folder: &Path) {
        if Listing::of(folder).is_ok_and(|l| !l.pictures.is_empty()) {
            self.problem(ProblemKind::UnreadFolder, folder, "its name gives no label for its pictures");
        }
    }

    /// Adds a picture described by `file` at `place`.
    ///
    /// # Errors
    /// Errors of [`Reading::bad_line`].
    pub fn row(&mut self, row: Row, file: &Path, place: &str) -> Result<(), DatasetError> {
        let Some(parts) = inside(&row.image) else {
            let reason = format!("the picture `{}` is not a path below the file's folder", row.image);
            return self.bad_line(file, place, &reason);
        };
        let path = self.root.join(parts.join("/"));
        if !path.is_file() {
            let detail = format!("{place} of {} names it, but the file does not exist", file.display());
            self.problem(ProblemKind::MissingPicture, &path, detail);
            return Ok(());
        }
        if !self.seen.insert(parts.join("/")) {
            let detail = format!("{place} of {} names it a second time", file.display());
            self.problem(ProblemKind::Duplicate, &path, detail);
            return Ok(());
        }
        let mask = match (row.label, row.mask.filter(|m| !m.trim().is_empty())) {
            (Label::Normal, _) => Mask::None,
            (Label::Anomalous, None) => {
                self.maskless.push((path.clone(), format!("{place} of {} gives no mask", file.display())));
                Mask::Unlabelled
            }
            (Label::Anomalous, Some(mask)) => match inside(&mask) {
                None => {
                    let reason = format!("the mask `{mask}` is not a path below the file's folder");
                    self.bad_line(file, place, &reason)?;
                    Mask::Unlabelled
                }
                Some(parts) => {
                    let mask = self.root.join(parts.join("/"));
                    if mask.is_file() {
                        Mask::File(mask)
                    } else {
                        let detail = format!(
                            "{place} of {} gives {}, which does not exist",
                            file.display(),
                            mask.display()
                        );
                        self.problem(ProblemKind::MissingMask, &path, detail);
                        Mask::Unlabelled
                    }
                }
            },
        };
        let kind = row.kind.unwrap_or_else(|| kind_of(&parts, row.label));
        self.push(&row.class, &kind, path, row.label, mask);
        Ok(())
    }

    fn push(&mut self, class: &str, kind: &str, path: PathBuf, label: Label, mask: Mask) {
        let below = path.strip_prefix(&self.root).unwrap_or(&path);
        let parts: Vec<_> = below.components().map(|c| c.as_os_str().to_string_lossy()).collect();
        let name = parts.join("/");
        self.samples.push(Sample { class: class.to_owned(), path, name, label, kind: kind.to_owned(), mask });
    }

    /// The data set, sorted.
    ///
    /// # Errors
    /// There is no picture.
    pub fn finish(mut self, layout: Layout, given: &Path) -> Result<Dataset, DatasetError> {
        // A layout that was not settled has masks if any sample has one.
        let has_masks = self.samples.iter().any(|s| !s.mask.files().is_empty());
        self.settle_masks(has_masks);
        let passed_over = self.pass_over();
        if self.samples.is_empty() {
            let because = self.problems.first().map(|p| format!("; {p}")).unwrap_or_default();
            return Err(DatasetError::NoPictures { path: given.to_owned(), layout, because });
        }
        self.samples.sort_by(|a, b| (&a.class, &a.name).cmp(&(&b.class, &b.name)));
        // Names that are not UTF-8 may become equal.
        let mut seen = HashSet::new();
        for sample in &mut self.samples {
            for n in 2.. {
                if seen.insert(sample.name.clone()) {
                    break;
                }
                sample.name += &format!("~{n}");
            }
        }
        Ok(Dataset { root: self.root, layout, samples: self.samples, problems: self.problems, passed_over })
    }
}

/// Whether a file is a text that accompanies pictures by its name: a licence, a table, notes.
fn is_text_name(file: &Path) -> bool {
    const ENDINGS: [&str; 16] = [
        "txt", "md", "rst", "csv", "tsv", "json", "jsonl", "xml", "yaml", "yml", "toml", "ini", "html",
        "htm", "pdf", "log",
    ];
    let ending = file.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    ending.is_none_or(|ending| ENDINGS.contains(&ending.as_str()))
}

/// The folder of a picture, if its name describes a kind.
fn kind_of(parts: &[String], label: Label) -> String {
    const NO_KIND: [&str; 4] = ["img", "image", "images", "test"];
    match parts {
        [.., folder, _] if !NO_KIND.contains(&folder.to_ascii_lowercase().as_str()) => folder.clone(),
        _ if label == Label::Normal => "good".to_owned(),
        _ => "defect".to_owned(),
    }
}
