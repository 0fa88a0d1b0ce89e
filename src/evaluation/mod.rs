//! Evaluation on labelled pictures: results that survive an interruption, the references' rules, tables.
//!
//! [`Store`] keeps what a detector found, picture by picture; [`evaluate`] turns the results of a class into figures;
//! [`Table`] puts classes together and [`Published`] has the papers' figures to compare with.

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
