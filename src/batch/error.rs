//! What can go wrong around many pictures.

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
    /// A folder that was watched is there no more.
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

/// Why a run over many pictures cannot begin or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// A pattern that is none.
    #[error("`{pattern}` is not a valid pattern: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// Why.
        reason: String,
    },
    /// The output folder holds results of other settings.
    #[error(
        "{} holds results of other settings ({manifest}):\n  {}\nname another folder with --out, or begin anew in this \
         one with --restart, all parts of a split run",
        folder.display(),
        differences.join("\n  ")
    )]
    OtherSettings {
        /// The output folder.
        folder: PathBuf,
        /// The manifest's name.
        manifest: String,
        /// One line per setting.
        differences: Vec<String>,
    },
    /// The output folder holds parts of a run that was split otherwise.
    #[error(
        "{} holds results of {there}, this is {here}: the parts of one run have one number; name another folder with \
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
        "{} holds the result of {}, which that of {} would replace: name another folder with --out, or begin anew in \
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
    /// The output folder holds results that nothing says the settings of.
    #[error(
        "{} holds results but no readable {manifest} that says how they were made ({reason}): name another folder with \
         --out, or begin anew in this one with --restart",
        folder.display()
    )]
    NoManifest {
        /// The output folder.
        folder: PathBuf,
        /// The manifest's name.
        manifest: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file in the place of a manifest that is none.
    #[error("{} is not the manifest of a run of `aaclip detect` ({reason})", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Another run writes the same file.
    #[error(
        "{} is being written by another run: wait for it, or name another folder with --out (the parts of a sharded \
         run may share one)",
        path.display()
    )]
    Locked {
        /// The journal.
        path: PathBuf,
    },
    /// A line of the journal that is no record.
    #[error(
        "{}, line {line}: {reason}; remove the line (its picture is scored again), or begin anew with `aaclip detect \
         --restart`",
        path.display()
    )]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// Two pictures whose results would have one name.
    #[error(
        "{} and {} would write the same files: give the folder that holds both, or use two runs",
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
    #[error("{} is no folder: --watch takes folders only", path.display())]
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
