//! What a detector finds in one picture.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use ndarray::{Array2, ArrayView2};

use crate::image::{AxisMap, Geometry};
use crate::map::{restore, sample};
use crate::methods::{ClassModel, Components};

/// What a detector finds in one picture.
#[derive(Clone)]
pub struct Detection {
    /// How anomalous the picture is, 0..1; see [`Method::score`](crate::methods::Method::score).
    pub score: f32,
    /// The parts the score is made of, in the method's own units.
    pub components: Components,
    /// The method's final map at the model's resolution: `[S, S]`. Of several tiles their maps as one, `[Hm, Wm]`,
    /// see [`Blend`](crate::tiles::Blend).
    pub map: Array2<f32>,
    /// How the map lies on the picture.
    pub geometry: Geometry,
    /// How many tiles the map is made of; 1 where the picture was looked at as a whole. More than one cost a pass
    /// through the tower each, and one for the whole picture, whose part of the score comes from there.
    pub tiles: usize,
    /// Where the time went.
    pub timing: Timing,
    pub(super) class: Arc<dyn ClassModel>,
    /// How the model's square lies on the picture.
    pub(super) square: Geometry,
}

/// Time spent on one picture.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Timing {
    /// Resizing and normalising.
    pub preprocess: Duration,
    /// The image tower and the comparison with the anchors; of tiles also cutting and preparing them.
    pub model: Duration,
    /// Up-sampling, smoothing and scoring.
    pub map: Duration,
}

impl Detection {
    /// The probability of "abnormal" for every pixel of the picture, `[H, W]`; see [`ClassModel::probability`].
    ///
    /// Pixels the model did not see (those cut off by [`Fit::Crop`](crate::image::Fit::Crop)) are 0.
    pub fn probabilities(&self) -> Array2<f32> {
        probabilities(self.map.view(), &self.geometry, &*self.class)
    }

    /// The map on the square that the model looks at, `[S, S]`, where maps of all pictures have one size and masks
    /// fit ([`Detector::mask`](super::Detector::mask)): the map itself, or that of several tiles brought there
    /// bilinearly. Beside the picture, with [`Fit::Pad`](crate::image::Fit::Pad), it then has its least value.
    pub fn square_map(&self) -> Cow<'_, Array2<f32>> {
        if self.tiles == 1 {
            return Cow::Borrowed(&self.map);
        }
        let axis = |square: &AxisMap, map: &AxisMap| -> (Vec<f64>, Vec<bool>) {
            let on_picture = |i: usize| {
                (i as f64 + 0.5 - square.offset as f64) * square.input as f64 / square.scaled as f64
            };
            let all = (0..square.size).map(on_picture);
            let place = |at: f64| at * map.size as f64 / map.input as f64 - 0.5;
            all.map(|at| (place(at), (0.0..square.input as f64).contains(&at))).unzip()
        };
        let (columns, seen_across) = axis(&self.square.across, &self.geometry.across);
        let (rows, seen_down) = axis(&self.square.down, &self.geometry.down);
        let mut map = sample(self.map.view(), &rows, &columns);
        for ((y, x), value) in map.indexed_iter_mut() {
            if !(seen_down[y] && seen_across[x]) {
                *value = self.components.map_min;
            }
        }
        Cow::Owned(map)
    }
}

pub(super) fn probabilities(
    map: ArrayView2<'_, f32>,
    geometry: &Geometry,
    class: &dyn ClassModel,
) -> Array2<f32> {
    let mut map = restore(map, geometry, f32::NEG_INFINITY);
    map.par_mapv_inplace(|v| class.probability(v));
    map
}
