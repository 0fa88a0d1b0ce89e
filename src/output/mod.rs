//! What a run leaves behind: records and pictures.

mod paint;
mod record;
mod save;

pub use paint::{ColourScale, heatmap, mask, outline, overlay};
pub use record::{Record, RecordFormat, RecordWriter, SCHEMA_VERSION, Size, StageTimes};
pub use save::{Artefact, ArtefactNames, Pictures, save};
