//! Why a data set could not be opened.

use std::path::PathBuf;

use super::Layout;

/// Why a data set could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// The path does not exist.
    #[error("{} does not exist: give the folder of a data set, or a metadata file", .0.display())]
    NotFound(PathBuf),
    /// A file, where the layout needs a folder.
    #[error("{path} is a file, and the layout {1} is a folder: {expected}", path = .0.display(), expected = .1.expects())]
    NotAFolder(PathBuf, Layout),
    /// No layout fits.
    #[error(
        "{} is in no known layout{hint}; what each layout expects:\n{tried}\nName one with --layout to see what is missing",
        path.display()
    )]
    UnknownLayout {
        /// What was given.
        path: PathBuf,
        /// What was seen that nearly fits; empty, or starting with a space.
        hint: String,
        /// The layouts that were tried, one a line.
        tried: String,
    },
    /// The layout asked for does not fit.
    #[error("{path} is not in the layout {1}: expected {expected}", path = .0.display(), expected = .1.expects())]
    WrongLayout(PathBuf, Layout),
    /// The layout fits, but there is no picture.
    #[error("{} (layout {layout}) has no test picture: expected {}{because}", path.display(), layout.expects())]
    NoPictures {
        /// What was given.
        path: PathBuf,
        /// The layout.
        layout: Layout,
        /// The first of the problems; empty, or starting with a semicolon.
        because: String,
    },
    /// A class that the data set does not have.
    #[error("{} has no class `{name}`; it has {known}", root.display())]
    UnknownClass {
        /// The class asked for.
        name: String,
        /// The classes there are.
        known: String,
        /// The data set.
        root: PathBuf,
    },
    /// No layout has this name.
    #[error("`{0}` is not a layout; known are {1}")]
    UnknownLayoutName(String, String),
    /// A metadata file or table that is not what its name says.
    #[error("{path}: {1}", path = .0.display())]
    Metadata(PathBuf, String),
    /// A metadata file that is larger than any real one.
    #[error("{} has {bytes} bytes, allowed are {allowed}: is this the metadata of a data set?", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit.
        allowed: u64,
    },
    /// A file or folder that cannot be read.
    #[error("cannot read {path}: {1}", path = .0.display())]
    Io(PathBuf, #[source] std::io::Error),
}
