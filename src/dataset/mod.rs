//! Labelled pictures for evaluation, read in the published layouts of data sets.
//!
//! [`Dataset::open`] lists files without reading pictures; [`Dataset::check`] decodes everything. Only the
//! published test part is read, never the training part. Every file that cannot be used is reported as a
//! [`Problem`].

mod bmad;
mod check;
mod classes;
mod error;
mod folders;
mod layout;
mod limit;
mod listing;
mod mask_reading;
mod masks;
mod metadata;
mod mvtec;
mod naming;
mod problem;
mod reading;
mod real_iad;
mod scans;
mod segmentation;
mod table;
mod visa;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::passed::PassedOver;

pub use error::DatasetError;
pub use layout::Layout;
pub use mask_reading::ReadMask;
pub use masks::is_mask_folder;
pub use naming::{ANYTHING, Naming};
pub use problem::{Problem, ProblemKind};

/// The label of a picture in its data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// No defect.
    Normal,
    /// At least one defect.
    Anomalous,
}

/// The defects of a picture. Every sample that is not 0 is defective.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Mask {
    /// A normal picture: the mask is zero and no file is read.
    None,
    /// The mask file of an anomalous picture.
    File(PathBuf),
    /// The mask files of an anomalous picture, one for each of its defects.
    Files(Vec<PathBuf>),
    /// An anomalous picture without a known mask, because the data set has no masks or this one is missing.
    /// It counts only for image metrics.
    Unlabelled,
}

impl Mask {
    /// The files; none for a normal picture and for one without a known mask.
    pub fn files(&self) -> &[PathBuf] {
        match self {
            Self::File(file) => std::slice::from_ref(file),
            Self::Files(files) => files,
            Self::None | Self::Unlabelled => &[],
        }
    }
}

/// A labelled picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The class: "bottle", "Brain".
    pub class: String,
    /// The file: the opened path joined with the picture's path.
    pub path: PathBuf,
    /// The path below [`Dataset::root`], separated by `/`; unique in the data set.
    pub name: String,
    /// Normal or anomalous.
    pub label: Label,
    /// The folder that names the kind of defect: "good", "broken"; without such folders, "good" or a word for
    /// the defect.
    pub kind: String,
    /// The defects.
    pub mask: Mask,
}

/// Labelled pictures of one or more classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// The base folder of [`Sample::name`]: the opened folder, or the folder of the opened metadata file.
    pub root: PathBuf,
    /// The layout.
    pub layout: Layout,
    /// Sorted by class and then by name, in byte order: the same on every machine.
    pub samples: Vec<Sample>,
    /// Problems of the files, as far as their names show them.
    pub problems: Vec<Problem>,
    /// Files in the folders of pictures and masks that were not read: hidden ones, and those with other endings.
    pub passed_over: PassedOver,
}

impl Dataset {
    /// Lists a data set. `root` is its folder, the folder of one of its classes if the layout allows that, or
    /// a metadata file. Without `layout` it is detected ([`Layout::find`]).
    ///
    /// Fast: no picture is opened. Hidden names and files without the ending of a picture are counted
    /// ([`Dataset::passed_over`]); a file of another kind among the pictures is a problem, unless it is a text.
    ///
    /// # Errors
    /// `root` does not exist, has no known layout or not the given one, or has no picture; a metadata file is
    /// too large or invalid; a folder cannot be listed.
    pub fn open(root: &Path, layout: Option<Layout>) -> Result<Self, DatasetError> {
        let is_file = listing::is_file(root)?;
        let layout = match layout {
            Some(layout) => layout,
            None => Layout::find(root)?,
        };
        if is_file && !layout.is_metadata() {
            return Err(DatasetError::NotAFolder(root.to_owned(), layout));
        }
        layout.read(root)
    }

    /// The classes, in order.
    pub fn classes(&self) -> Vec<&str> {
        let mut classes: Vec<&str> = self.samples.iter().map(|s| s.class.as_str()).collect();
        classes.dedup();
        classes
    }

    /// Keeps the samples of the classes `wanted`. [`Dataset::problems`] do not change.
    ///
    /// # Errors
    /// The data set has no such class; then nothing changes.
    pub fn keep_classes(&mut self, wanted: &[String]) -> Result<(), DatasetError> {
        let known = self.classes();
        if let Some(name) = wanted.iter().find(|w| !known.contains(&w.as_str())) {
            let known = known.join(", ");
            return Err(DatasetError::UnknownClass { name: name.clone(), known, root: self.root.clone() });
        }
        self.samples.retain(|s| wanted.contains(&s.class));
        Ok(())
    }

    /// Keeps at most `per_class` samples of each class, always the same ones: half of them normal if there
    /// are enough, the anomalous ones spread over the kinds of defect. From 2 on, both labels remain if both
    /// exist.
    pub fn limit(&mut self, per_class: usize) {
        limit::limit(&mut self.samples, per_class);
    }
}
