//! The reasons why a data set cannot be opened.

use std::path::PathBuf;

use super::Layout;

/// The reason why a data set cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// The path does not exist.
    #[error("{} does not exist: give the folder of a data set, or a metadata file", .0.display())]
    NotFound(PathBuf),
    /// The path is a file, but the layout needs a folder.
    #[error("{path} is a file, but the layout {1} needs a folder: {expected}", path = .0.display(), expected = .1.expects())]
    NotAFolder(PathBuf, Layout),
    /// No layout matches.
    #[error(
        "{} has no known layout{hint}. Each layout expects:\n{tried}",
        path.display()
    )]
    UnknownLayout {
        /// The given path.
        path: PathBuf,
        /// A near match; empty, or starting with a space.
        hint: String,
        /// The tried layouts, one per line.
        tried: String,
    },
    /// The requested layout does not match.
    #[error("{path} is not in the layout {1}: expected {expected}", path = .0.display(), expected = .1.expects())]
    WrongLayout(PathBuf, Layout),
    /// The layout matches, but there is no picture.
    #[error("{} (layout {layout}) has no test picture: expected {}{because}", path.display(), layout.expects())]
    NoPictures {
        /// The given path.
        path: PathBuf,
        /// The layout.
        layout: Layout,
        /// The first problem; empty, or starting with a semicolon.
        because: String,
    },
    /// The data set has no such class.
    #[error("{} has no class `{name}` (it has: {known})", root.display())]
    UnknownClass {
        /// The requested class.
        name: String,
        /// The existing classes.
        known: String,
        /// The data set.
        root: PathBuf,
    },
    /// No layout has this name.
    #[error("`{0}` is not a layout: expected one of {1}")]
    UnknownLayoutName(String, String),
    /// A metadata file or table is invalid.
    #[error("{path}: {1}", path = .0.display())]
    Metadata(PathBuf, String),
    /// A metadata file is larger than the limit.
    #[error("{} is too large for the metadata of a data set: {bytes} bytes; at most {allowed} bytes are allowed", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit.
        allowed: u64,
    },
    /// A file or folder cannot be read.
    #[error("cannot read {path}: {1}", path = .0.display())]
    Io(PathBuf, #[source] std::io::Error),
}
