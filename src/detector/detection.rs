//! What a detector finds in one picture.

use std::time::Duration;

use ndarray::{Array2, ArrayView2};

use crate::adapters::Method;
use crate::image::Geometry;
use crate::map::restore;
use crate::methods;

/// What a detector finds in one picture.
#[derive(Debug, Clone)]
pub struct Detection {
    /// How anomalous the picture is, 0..1; see the `score` function of the method's module in [`methods`].
    pub score: f32,
    /// The parts the score is made of, in the reference's own units.
    pub components: Components,
    /// The reference's final map at the model's resolution: `[S, S]`.
    pub map: Array2<f32>,
    /// How the map lies on the picture.
    pub geometry: Geometry,
    /// Where the time went.
    pub timing: Timing,
    pub(super) method: Method,
    pub(super) levels: usize,
}

/// The parts a score is made of.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Components {
    /// SDP and SDP+: probability of "abnormal" for the whole picture (the reference's `pr_sp0`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_prob: Option<f32>,
    /// AA-CLIP: the reference's image prediction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pred: Option<f32>,
    /// The least value of the final map.
    pub map_min: f32,
    /// The highest value of the final map.
    pub map_max: f32,
    /// The mean value of the final map.
    pub map_mean: f32,
}

/// Time spent on one picture.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Timing {
    /// Resizing and normalising.
    pub preprocess: Duration,
    /// The image tower and the comparison with the anchors.
    pub model: Duration,
    /// Up-sampling, smoothing and scoring.
    pub map: Duration,
}

impl Detection {
    /// The probability of "abnormal" for every pixel of the picture, `[H, W]`; see [`methods::probability`].
    ///
    /// Pixels the model did not see (those cut off by [`Fit::Crop`]) are 0.
    pub fn probabilities(&self) -> Array2<f32> {
        probabilities(self.map.view(), &self.geometry, self.method, self.levels)
    }
}

pub(super) fn probabilities(
    map: ArrayView2<'_, f32>,
    geometry: &Geometry,
    method: Method,
    levels: usize,
) -> Array2<f32> {
    let mut map = restore(map, geometry, f32::NEG_INFINITY);
    map.par_mapv_inplace(|v| methods::probability(method, v, levels));
    map
}
