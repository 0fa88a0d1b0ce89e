//! Why a run could not be shown.

use std::path::PathBuf;

use super::results::SCHEMA;

/// Why the results of a folder could not be made into a page.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GalleryError {
    /// The folder has no results.
    #[error("{} has no results.jsonl: `aaclip detect FOLDER -o {}` writes one", folder.display(), folder.display())]
    NoResults {
        /// The folder.
        folder: PathBuf,
    },
    /// There are files of results, and no whole line in any of them.
    #[error(
        "the results in {} have no finished picture yet: run `aaclip report` again when there is one",
        folder.display()
    )]
    NothingFinished {
        /// The folder.
        folder: PathBuf,
    },
    /// Records of another kind or of another version of this program.
    #[error(
        "{} line {line} is a record of schema {found}, and this program shows schema {SCHEMA}: \
         run `aaclip detect` of the same version into a new folder",
        path.display()
    )]
    Schema {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What the record says, or "unknown".
        found: String,
    },
    /// A line that is no record, and not the last one.
    #[error("{} line {line} is damaged ({reason}): remove that line and run `aaclip detect` again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A manifest that cannot be used.
    #[error("{} is not the manifest of a run of `aaclip detect` ({reason})", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A page that might replace something that is none.
    #[error("the page cannot be written to {}: its name must end in .html", path.display())]
    PageName {
        /// The file that was asked for.
        path: PathBuf,
    },
}
