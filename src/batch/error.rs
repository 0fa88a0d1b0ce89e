//! What can go wrong with many pictures.

use std::path::PathBuf;

/// Why some pictures could not be listed. The others are.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListingProblem {
    /// A folder or an entry of it could not be read, or links lead in a circle.
    #[error("cannot search {}: {reason}", folder.display())]
    Search {
        /// The folder that was searched.
        folder: PathBuf,
        /// The reason, with the entry.
        reason: String,
    },
    /// A picture that came while folders were watched, whose results would have the name of another one's.
    #[error("{} is not scored: its results would replace those of its namesake in another folder", path.display())]
    Namesake {
        /// The picture.
        path: PathBuf,
    },
    /// A watched folder does not exist any more.
    #[error("{} is gone: waiting for it to come back", folder.display())]
    Gone {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder without a picture.
    #[error("{}: no picture in this folder ({looked_for})", folder.display())]
    NoPictures {
        /// The folder.
        folder: PathBuf,
        /// What would have been taken.
        looked_for: String,
    },
}

/// Why a run over many pictures cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// A pattern with a mistake.
    #[error("`{pattern}` is not a valid pattern: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// Why.
        reason: String,
    },
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
        first.display(),
        second.display()
    )]
    Collision {
        /// A picture.
        first: PathBuf,
        /// Another one.
        second: PathBuf,
    },
    /// Something else than folders is to be watched.
    #[error("{} is not a folder: --watch takes folders only", path.display())]
    OnlyFolders {
        /// What was named.
        path: PathBuf,
    },
    /// A folder that cannot be watched.
    #[error(
        "cannot watch {}: {reason}; --poll SECONDS searches it again and again instead",
        folder.display()
    )]
    Watch {
        /// The folder.
        folder: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// The output folder is the folder that is searched.
    #[error(
        "{} is the folder that is searched: results in it would be taken for pictures; name another one with --out (a \
         folder inside it is fine, it is left out of the search)",
        folder.display()
    )]
    OutputIsInput {
        /// The folder.
        folder: PathBuf,
    },
}
