use serde::{Deserialize, Serialize};

use crate::Components;
use crate::files::Stamp;

/// What a detector found in one labelled picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PictureResult {
    /// The picture, relative to the data set's root.
    pub name: String,
    /// Its class.
    pub class: String,
    /// The folder it is in: `good`, `broken`.
    pub kind: String,
    /// Its label.
    pub anomalous: bool,
    /// The score, which depends on this picture alone.
    pub score: f32,
    /// The parts of the score.
    pub components: Components,
    /// Number of its map among the stored ones.
    pub map: u64,
    /// The state of the picture's file; a picture that changed is scored again. `None` if the system does not say.
    pub file: Option<Stamp>,
}
