//! What can go wrong with many pictures.

use std::path::PathBuf;

/// Why some pictures could not be listed. The others are.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListingProblem {
    /// A folder or an entry of it could not be read, or links lead in a circle.
    #[error("cannot search {folder}: {1}", folder = .0.display())]
    Search(PathBuf, String),
    /// A picture that came while folders were watched, whose results would have the name of another one's.
    #[error("{} is not scored: its results would replace those of its namesake in another folder", .0.display())]
    Namesake(PathBuf),
    /// A watched folder does not exist any more.
    #[error("{} is gone: waiting for it to come back", .0.display())]
    Gone(PathBuf),
    /// A folder without a picture.
    #[error("{folder}: no picture in this folder ({1})", folder = .0.display())]
    NoPictures(PathBuf, String),
}

/// Why a run over many pictures cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// A pattern with a mistake.
    #[error("`{0}` is not a valid pattern: {1}")]
    Pattern(String, String),
    /// The output folder has parts of a run that was split otherwise.
    #[error(
        "{} has results of {there}, this is {here}: the parts of one run have one number; name another folder with \
         --out, or remove those results",
        folder.display()
    )]
    OtherParts {
        /// The output folder.
        folder: PathBuf,
        /// Which part is there.
        there: String,
        /// Which part this is.
        here: String,
    },
    /// A result in the output folder is that of another picture.
    #[error(
        "{} has the result of {}, which that of {} would replace: name another folder with --out, or start over in \
         this one with --restart",
        folder.display(),
        there.display(),
        here.display()
    )]
    OtherPicture {
        /// The output folder.
        folder: PathBuf,
        /// The picture that has the result.
        there: PathBuf,
        /// The picture of the same name.
        here: PathBuf,
    },
    /// Two pictures whose results would have one name.
    #[error(
        "{} and {} would write the same files: give a folder that both are in, or use two runs",
        .0.display(),
        .1.display()
    )]
    Collision(PathBuf, PathBuf),
    /// Something else than folders is to be watched.
    #[error("{} is not a folder: --watch takes folders only", .0.display())]
    OnlyFolders(PathBuf),
    /// A folder that cannot be watched.
    #[error(
        "cannot watch {folder}: {1}; --poll SECONDS searches it again and again instead",
        folder = .0.display()
    )]
    Watch(PathBuf, String),
    /// The output folder is the folder that is searched.
    #[error(
        "{} is the folder that is searched: results in it would be taken for pictures; name another one with --out (a \
         folder inside it is fine, it is left out of the search)",
        .0.display()
    )]
    OutputIsInput(PathBuf),
}
