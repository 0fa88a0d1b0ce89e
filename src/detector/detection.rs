//! The result of a detector for one picture.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use ndarray::{Array2, ArrayView2};

use crate::image::{AxisMap, Geometry};
use crate::map::{GreyMap, restore, sample};
use crate::methods::{ClassModel, Components};

/// The result of a detector for one picture.
#[derive(Clone)]
pub struct Detection {
    /// How anomalous the picture is, 0..1; see [`Method::score`](crate::methods::Method::score).
    pub score: f32,
    /// The components of the score, in the method's own units.
    pub components: Components,
    /// The method's final map at the model's resolution: `[S, S]`; with [`Fit::Keep`](crate::image::Fit::Keep) in the
    /// picture's proportions. For several tiles, their blended map, `[Hm, Wm]`, see [`Blend`](crate::tiles::Blend).
    pub map: Array2<f32>,
    /// The placement of the map on the picture.
    pub geometry: Geometry,
    /// Number of tiles of the map; 1 if the picture was processed as a whole. Several tiles cost one pass
    /// through the tower each, and one more pass for the whole picture, which gives the image component of
    /// the score.
    pub tiles: usize,
    /// Time per stage.
    pub timing: Timing,
    pub(super) class: Arc<dyn ClassModel>,
    /// The placement of the model's square on the picture.
    pub(super) square: Geometry,
}

/// Time spent on one picture.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Timing {
    /// Resizing and normalising.
    pub preprocess: Duration,
    /// The image tower and the comparison with the anchors; with tiles also cropping and preparing them.
    pub model: Duration,
    /// Up-sampling, smoothing and scoring.
    pub map: Duration,
}

impl Detection {
    /// The probability of "abnormal" for every pixel of the picture, `[H, W]`; see
    /// [`ClassModel::probability`].
    ///
    /// Pixels outside the model's square (with [`Fit::Crop`](crate::image::Fit::Crop)) are 0.
    pub fn probabilities(&self) -> Array2<f32> {
        probabilities(self.map.view(), &self.geometry, &*self.class)
    }

    /// The probabilities in 256 steps, at about the model's resolution and in the picture's frame: what is
    /// stored of a map, and what pictures and regions are made from.
    pub fn grey_map(&self) -> GreyMap {
        let Geometry { across, down } = self.geometry;
        let longest = self.map.nrows().max(self.map.ncols());
        let (height, width) = GreyMap::sides(across.input, down.input, longest);
        let geometry =
            Geometry { across: AxisMap { input: width, ..across }, down: AxisMap { input: height, ..down } };
        GreyMap::new(probabilities(self.map.view(), &geometry, &*self.class).view())
    }

    /// The map on the model's square, `[S, S]`, where the maps of all pictures have the same size and match
    /// the masks of [`Detector::mask`](super::Detector::mask): the map itself, or, for several tiles and with
    /// [`Fit::Keep`](crate::image::Fit::Keep), resampled bilinearly.
    pub fn square_map(&self) -> Cow<'_, Array2<f32>> {
        if self.geometry == self.square {
            return Cow::Borrowed(&self.map);
        }
        let axis = |square: &AxisMap, map: &AxisMap| -> Vec<f64> {
            let scale = square.input as f64 / square.scaled as f64 * map.size as f64 / map.input as f64;
            (0..square.size).map(|i| (i as f64 + 0.5 - square.offset as f64) * scale - 0.5).collect()
        };
        let columns = axis(&self.square.across, &self.geometry.across);
        let rows = axis(&self.square.down, &self.geometry.down);
        Cow::Owned(sample(self.map.view(), &rows, &columns))
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
