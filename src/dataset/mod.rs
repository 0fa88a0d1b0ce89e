//! Labelled pictures for evaluation, read in the layouts their data sets are published in.
//!
//! [`Dataset::open`] lists files and reads no picture; [`Dataset::check`] decodes everything. Only what a data set
//! publishes for testing is read, never its training part. What cannot be used is a [`Problem`] that names the file:
//! nothing is left out without one.

mod bmad;
mod check;
mod classes;
mod error;
mod folders;
mod layout;
mod limit;
mod listing;
mod masks;
mod metadata;
mod mvtec;
mod naming;
mod problem;
mod reading;
mod scans;
mod segmentation;
mod table;
mod visa;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use error::DatasetError;
pub use layout::Layout;
pub use naming::{ANYTHING, Naming};
pub use problem::{Problem, ProblemKind};

/// What a picture shows, as its data set says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// No defect.
    Normal,
    /// At least one defect.
    Anomalous,
}

/// Where the defects of a picture are marked. Every sample that is not 0 is defect.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Mask {
    /// A normal picture: the mask is all zero and no file is read.
    None,
    /// An anomalous picture, with the picture file of its mask.
    File(PathBuf),
    /// An anomalous picture whose mask is not known, because its data set has none or this one is missing: it
    /// counts for image metrics only.
    Unlabelled,
}

/// A labelled picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// What the picture is of: "bottle", "Brain".
    pub class: String,
    /// The file: the path the data set was opened with, joined with the picture's own.
    pub path: PathBuf,
    /// The path below [`Dataset::root`], separated by `/`; unique in the data set.
    pub name: String,
    /// Normal or anomalous.
    pub label: Label,
    /// The folder that tells the kind of defect: "good", "broken"; without such folders, "good" or a word for
    /// the defect.
    pub kind: String,
    /// Where the defects are.
    pub mask: Mask,
}

/// Labelled pictures of one or more classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// The folder that [`Sample::name`] is relative to: the one opened, or that of the metadata file opened.
    pub root: PathBuf,
    /// How it was read.
    pub layout: Layout,
    /// Classes in alphabetical (byte) order, in a class by name: the same on every machine.
    pub samples: Vec<Sample>,
    /// What is wrong with the files, as far as their names tell.
    pub problems: Vec<Problem>,
}

impl Dataset {
    /// Lists a data set: `root` is its folder, the folder of one of its classes where the layout allows that, or a
    /// metadata file. The layout is found if it is `None` ([`Layout::find`]).
    ///
    /// Cheap: no picture is opened. Files whose name starts with a dot are ignored, and so is what is not a picture
    /// by its ending.
    ///
    /// # Errors
    /// A root that does not exist, has no known layout or not the one given, or has no picture; a metadata file
    /// that is too large or not what its ending says; a folder that cannot be listed.
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

    /// Keeps the samples of the classes `wanted`. [`Dataset::problems`] stay: they are about the files.
    ///
    /// # Errors
    /// A class that the data set does not have; then nothing is changed.
    pub fn keep_classes(&mut self, wanted: &[String]) -> Result<(), DatasetError> {
        let known = self.classes();
        if let Some(name) = wanted.iter().find(|w| !known.contains(&w.as_str())) {
            let known = known.join(", ");
            return Err(DatasetError::UnknownClass { name: name.clone(), known, root: self.root.clone() });
        }
        self.samples.retain(|s| wanted.contains(&s.class));
        Ok(())
    }

    /// Keeps at most `per_class` samples of each class, always the same ones: half of them normal as far as there
    /// are that many, the anomalous ones spread over the kinds of defect. From 2 on, both labels remain where both
    /// exist.
    pub fn limit(&mut self, per_class: usize) {
        limit::limit(&mut self.samples, per_class);
    }
}
