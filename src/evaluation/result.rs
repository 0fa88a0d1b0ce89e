use serde::{Deserialize, Serialize};

use crate::Components;

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
    /// The picture file's size, in bytes, and time of change, in nanoseconds since 1970: a picture that changed is
    /// looked at again.
    pub bytes: u64,
    /// See `bytes`.
    pub modified: u64,
}
