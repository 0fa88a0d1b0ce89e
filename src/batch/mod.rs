//! Scoring many pictures unattended: which there are, in which order, and what is already finished.
//!
//! A run over a folder keeps two files in its output folder: a [`Manifest`] with the settings, written first, and a
//! [`Journal`], one line per picture, appended as pictures are finished. The same run started again skips what the
//! journal holds. Nothing here looks at pictures.

mod error;
mod filter;
mod journal;
mod lines;
mod listing;
mod manifest;
mod shard;
#[cfg(feature = "cli")]
mod watch;

pub use error::{BatchError, ListingProblem};
pub use filter::Filter;
pub use journal::{FileState, Finished, Journal, LockedJournal};
pub use lines::read_records;
pub use listing::{Input, Listing, Root};
pub use manifest::Manifest;
pub use shard::Shard;
#[cfg(feature = "cli")]
pub use watch::{Watch, WatchBy};
