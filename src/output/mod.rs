//! The output of a run: records and images.

mod decoded;
mod judge;
mod paint;
mod patient;
mod record;
mod save;
mod strips;
mod writer;

pub use crate::printable::printable;
pub use decoded::{Decoded, SampleEnds};
pub use judge::{Judge, Stale, StoredMap};
#[cfg(test)]
pub(crate) use paint::first_colour;
pub use paint::{ColourScale, heatmap, mask, outline, outline_regions, overlay};
pub use patient::Patient;
pub use record::{Ends, Failure, Outcome, Record, RecordInput, SCHEMA_VERSION, Scored, Size, StageTimes};
pub use save::{Artefact, ArtefactNames, Pictures, encode, is_artefact_name, save, shrunk, thumbnail};
pub use writer::{BYTE_ORDER_MARK, COLUMNS, RecordFormat, RecordWriter, cell};
