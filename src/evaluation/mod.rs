//! Evaluation on labelled pictures: results that survive an interruption, the references' rules, tables.
//!
//! [`Store`] keeps a detector's results for each picture; [`evaluate`] computes the figures of a class; [`Table`]
//! combines classes, and [`Published`] has the papers' figures for comparison.

mod class;
mod error;
mod published;
mod result;
mod store;
mod table;

pub use class::{ClassEvaluation, evaluate};
pub use error::EvaluationError;
pub use published::{Compared, Published, PublishedFigures};
pub use result::PictureResult;
pub use store::{Manifest, Store, StoredMaps};
pub use table::{Metric, Row, Table, TableFormat};
