//! The reasons why a run cannot be shown.

use std::path::PathBuf;

/// The reason why the results of a folder cannot be shown as a page.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GalleryError {
    /// The folder has no results.
    #[error("{} has no results.jsonl: `aaclip detect FOLDER -o {}` writes one", .0.display(), .0.display())]
    NoResults(PathBuf),
    /// The files of results have no complete line yet.
    #[error(
        "the results in {} have no finished picture yet: run `aaclip report` again when a picture is finished",
        .0.display()
    )]
    NothingFinished(PathBuf),
    /// The name of the page does not end in `.html`.
    #[error("the page cannot be written to {}: its name must end in .html", .0.display())]
    PageName(PathBuf),
}
