//! Why a run could not be shown.

use std::path::PathBuf;

/// Why the results of a folder could not be made into a page.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GalleryError {
    /// The folder has no results.
    #[error("{} has no results.jsonl: `aaclip detect FOLDER -o {}` writes one", .0.display(), .0.display())]
    NoResults(PathBuf),
    /// There are files of results, and no whole line in any of them.
    #[error(
        "the results in {} have no finished picture yet: run `aaclip report` again when there is one",
        .0.display()
    )]
    NothingFinished(PathBuf),
    /// A name that another kind of file may have.
    #[error("the page cannot be written to {}: its name must end in .html", .0.display())]
    PageName(PathBuf),
}
