//! Scoring many pictures unattended: which there are, in which order, and what is already finished.
//!
//! A run over a folder keeps two files in its output folder: a [`Manifest`] with the settings, written first, and a
//! journal of records ([`RunResults`]), one line per picture, appended as pictures are finished. The same run started
//! again skips the pictures in the journal. Nothing here decodes a picture.

mod error;
mod filter;
mod listing;
mod manifest;
mod results;
mod shard;
mod watch;

pub use error::{BatchError, ListingProblem};
pub use filter::Filter;
pub use listing::{Input, Listing, Root};
pub use manifest::Manifest;
pub use results::{FileState, Finished, RunResults};
pub use shard::Shard;
pub use watch::{Watch, WatchBy};
