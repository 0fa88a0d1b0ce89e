use serde::{Deserialize, Serialize};

use crate::Components;
use crate::files::Stamp;

/// A detector's result for one labelled picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PictureResult {
    /// The picture, relative to the data set's root.
    pub name: String,
    /// Its class.
    pub class: String,
    /// Its folder: `good`, `broken`.
    pub kind: String,
    /// Its label.
    pub anomalous: bool,
    /// The score, which depends only on this picture.
    pub score: f32,
    /// The components of the score.
    pub components: Components,
    /// Number of its map among the stored maps.
    pub map: u64,
    /// The state of the picture's file; a changed picture is scored again. `None` if the system does not
    /// report it.
    pub file: Option<Stamp>,
}
