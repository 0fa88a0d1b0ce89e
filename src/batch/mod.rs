//! Unattended scoring of many pictures: the list, its order, and the finished pictures.
//!
//! A run over a folder writes two files to its output folder: first a [`Manifest`] with the settings, then a
//! journal of records ([`RunResults`]), one line per finished picture. The same run started again skips the
//! pictures in the journal. This module decodes no pictures.

mod copies;
mod error;
mod filter;
mod listing;
mod manifest;
mod results;
mod shard;
#[cfg(feature = "cli")]
mod watch;

pub use copies::Copies;
pub use error::{BatchError, ListingProblem};
pub use filter::Filter;
pub use listing::{Input, Listing, Root};
pub use manifest::Manifest;
pub use results::{FileState, Finished, RunResults};
pub use shard::Shard;
#[cfg(feature = "cli")]
pub use watch::{Watch, WatchBy};
