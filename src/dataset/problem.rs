//! Problems of a data set's files.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use crate::printable::printable;

/// A problem of one file of a data set. [`fmt::Display`] gives one line with the file's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Problem {
    /// The file or folder; serialised as text.
    #[serde(serialize_with = "as_text")]
    pub path: PathBuf,
    /// The kind of problem.
    pub kind: ProblemKind,
    /// The details for the user.
    pub detail: String,
}

/// The kind of a problem in a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// An anomalous picture without a mask, in a data set with masks. It is listed, and counts for image
    /// metrics.
    MissingMask,
    /// A picture in a table or metadata file does not exist. It is not listed.
    MissingPicture,
    /// A picture is missing in the data set's table. It is not listed.
    MissingLabel,
    /// A mask without a picture.
    OrphanMask,
    /// A picture that cannot be decoded.
    UnreadablePicture,
    /// A mask that cannot be decoded.
    UnreadableMask,
    /// A mask of another size than its picture.
    OddSize,
    /// The mask of an anomalous picture is empty.
    EmptyMask,
    /// A line or entry of a table or metadata file that cannot be used.
    BadLine,
    /// A picture listed twice (the first one counts), or a second mask of a picture.
    Duplicate,
    /// A class folder without a test picture.
    EmptyClass,
    /// A folder where only pictures are expected; its content is not read.
    UnreadFolder,
    /// A file among pictures or masks that has neither their ending nor that of a text.
    OtherFile,
    /// Warning: the mask's format loses values (JPEG).
    LossyMask,
    /// Warning: the mask is in the alpha channel.
    AlphaMask,
    /// Warning: the picture is turned by its EXIF orientation, its mask is not.
    TurnedPicture,
}

fn as_text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

impl ProblemKind {
    /// In words: "missing mask".
    pub fn label(self) -> &'static str {
        match self {
            Self::MissingMask => "missing mask",
            Self::MissingPicture => "missing picture",
            Self::MissingLabel => "missing label",
            Self::OrphanMask => "orphan mask",
            Self::UnreadablePicture => "unreadable picture",
            Self::UnreadableMask => "unreadable mask",
            Self::OddSize => "odd size",
            Self::EmptyMask => "empty mask",
            Self::BadLine => "bad line",
            Self::Duplicate => "duplicate",
            Self::EmptyClass => "empty class",
            Self::UnreadFolder => "folder not read",
            Self::OtherFile => "file not read",
            Self::LossyMask => "lossy mask",
            Self::AlphaMask => "mask in alpha",
            Self::TurnedPicture => "turned picture",
        }
    }

    /// Whether the file is used, but what was assumed about it may be wrong.
    pub fn is_warning(self) -> bool {
        matches!(self, Self::LossyMask | Self::AlphaMask | Self::TurnedPicture)
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // File names may have line breaks and terminal sequences.
        f.write_str(&printable(&format!("{}: {}: {}", self.kind, self.path.display(), self.detail)))
    }
}
