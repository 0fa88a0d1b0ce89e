//! Errors of runs over many pictures.

use std::path::PathBuf;

/// The reason why some pictures could not be listed; the others are listed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListingProblem {
    /// A folder or one of its entries could not be read, or links form a circle.
    #[error("cannot search {folder}: {1}", folder = .0.display())]
    Search(PathBuf, String),
    /// A picture that appeared in a watched folder has the result name of another picture.
    #[error("{} is not scored: its results would replace those of a picture with the same name in another folder", .0.display())]
    Namesake(PathBuf),
    /// A watched folder does not exist any more.
    #[error("{} does not exist any more: waiting until it exists again", .0.display())]
    Gone(PathBuf),
    /// A folder without a picture.
    #[error("{folder}: no picture in this folder ({1})", folder = .0.display())]
    NoPictures(PathBuf, String),
}

/// The reason why a run over many pictures cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// A pattern is invalid.
    #[error("`{0}` is not a valid pattern: {1}")]
    Pattern(String, String),
    /// The output folder has parts of a run with another number of parts.
    #[error(
        "{} has results of {there}, this is {here}: all parts of a run must have one number of parts",
        folder.display()
    )]
    OtherParts {
        /// The output folder.
        folder: PathBuf,
        /// The part in the output folder.
        there: String,
        /// The part of this run.
        here: String,
    },
    /// A result in the output folder belongs to another picture.
    #[error(
        "{} has the result of {}, which that of {} would replace",
        folder.display(),
        there.display(),
        here.display()
    )]
    OtherPicture {
        /// The output folder.
        folder: PathBuf,
        /// The picture of the existing result.
        there: PathBuf,
        /// The picture with the same name.
        here: PathBuf,
    },
    /// The results of two pictures would have the same name.
    #[error(
        "{} and {} would write the same files: give a folder that contains both, or use two runs",
        .0.display(),
        .1.display()
    )]
    Collision(PathBuf, PathBuf),
    /// Only folders can be watched.
    #[error("{} is not a folder: only folders can be watched", .0.display())]
    OnlyFolders(PathBuf),
    /// A folder cannot be watched.
    #[error(
        "cannot watch {folder}: {1}",
        folder = .0.display()
    )]
    Watch(PathBuf, String),
    /// The folder of copies would be searched.
    #[error(
        "{} is in the searched folder {}: the copies would be taken for further pictures",
        folder.display(),
        searched.display()
    )]
    CopiesInInput {
        /// The folder of copies.
        folder: PathBuf,
        /// The searched folder.
        searched: PathBuf,
    },
    /// The copy of a picture would replace another file.
    #[error("{} is not copied: {} is there and differs", picture.display(), copy.display())]
    OtherCopy {
        /// The file that is there.
        copy: PathBuf,
        /// The picture.
        picture: PathBuf,
    },
    /// The output folder is the searched folder.
    #[error(
        "{} is the searched folder: results in it would be taken for pictures",
        .0.display()
    )]
    OutputIsInput(PathBuf),
}
