//! Why a data set could not be opened.

use std::path::PathBuf;

use super::Layout;

/// Why a data set could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// Nothing is there.
    #[error("{} does not exist: give the folder of a data set, or a metadata file", path.display())]
    NotFound {
        /// What was given.
        path: PathBuf,
    },
    /// A file, where the layout needs a folder.
    #[error("{} is a file, and the layout {layout} is a folder: {}", path.display(), layout.expects())]
    NotAFolder {
        /// What was given.
        path: PathBuf,
        /// The layout asked for.
        layout: Layout,
    },
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
    #[error("{} is not in the layout {layout}: expected {}", path.display(), layout.expects())]
    WrongLayout {
        /// What was given.
        path: PathBuf,
        /// The layout asked for.
        layout: Layout,
    },
    /// The layout fits, but there is no picture.
    #[error("{} (layout {layout}) holds no test picture: expected {}{because}", path.display(), layout.expects())]
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
    #[error("`{name}` is not a layout; known are {known}")]
    UnknownLayoutName {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A metadata file or table that is not what its name says.
    #[error("{}: {reason}", path.display())]
    Metadata {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line if there is one.
        reason: String,
    },
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
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}
