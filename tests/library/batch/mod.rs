//! Runs over many pictures: listing, filters, settings and results.

mod copies;
mod filter;
mod listing;
mod manifest;
mod results;
