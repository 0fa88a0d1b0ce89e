//! A detector: one model, one method, one class; picture after picture in, detections out.

mod builder;
mod detection;
mod references;
mod scorer;
mod tiled;

pub use builder::{DetectorBuilder, Detectors};
pub use detection::{Detection, Timing};
pub use references::References;
pub use scorer::{Look, PictureName, Scorer, ScorerSettings, Source};

use std::sync::Arc;
use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use ndarray::{Array2, Array3, ArrayView2};

use crate::image::{Geometry, Mask, Picture, Prepared, Preprocess};
use crate::map::{MapRange, final_map};
use crate::methods::{Canvas, ClassModel, Components, Method, Model};
use crate::tiles::{TileGrid, Tiling};
use crate::{Error, Result};
use detection::probabilities;
use tiled::Tiled;

/// A model with a method, ready for pictures of one class. Clones share the tower's weights.
#[derive(Clone)]
pub struct Detector {
    method: &'static Method,
    model: Arc<dyn Model>,
    class: Arc<dyn ClassModel>,
    tiling: Option<Tiling>,
    device: Device,
    range: Option<MapRange>,
}

/// A picture as input for a detector's tower.
#[derive(Debug, Clone)]
pub struct PreparedPicture {
    prepared: Prepared,
    /// The positions of its tiles and the whole picture, if it is processed in more than one tile.
    tiles: Option<(TileGrid, Picture)>,
    took: Duration,
}

impl Detector {
    /// Settings for a detector of a model: a published model's name, a folder, or `builtin`.
    pub fn builder(model: &str) -> DetectorBuilder {
        DetectorBuilder::new(Some(model))
    }

    /// The method.
    pub fn method(&self) -> &'static Method {
        self.method
    }

    /// The method with its weights and the class's anchors.
    pub fn class(&self) -> &dyn ClassModel {
        &*self.class
    }

    /// The levels of good parts and of clear damage in maps, if they were measured: by the method, or for the model.
    pub fn range(&self) -> Option<MapRange> {
        self.class.levels().or(self.range)
    }

    /// The preprocessing of pictures.
    pub fn preprocess(&self) -> &Preprocess {
        self.model.preprocess()
    }

    /// Side of the model's input square, in pixels.
    pub fn image_size(&self) -> usize {
        self.preprocess().size
    }

    /// Detects anomalies in one picture.
    ///
    /// The result depends only on the picture and the detector's settings, never on earlier pictures.
    ///
    /// # Errors
    /// The picture cannot be made square (see [`Preprocess::run`]) or needs too many tiles (see
    /// [`TileGrid::new`]), or values are not finite.
    pub fn detect(&self, picture: &Picture) -> Result<Detection> {
        let mut clock = Stopwatch::start();
        let grid = self.grid(picture)?;
        let prepared = self.preprocess().run(picture)?;
        self.find(prepared, grid.as_ref().map(|grid| Tiled { grid, picture }), clock.lap())
    }

    /// The first part of [`Detector::detect`]. It needs neither the tower nor the device, so other threads
    /// can do it while the model processes another picture. With tiles the picture is copied; the tiles are
    /// prepared one by one later.
    ///
    /// # Errors
    /// The picture cannot be made square or needs too many tiles.
    pub fn prepare(&self, picture: &Picture) -> Result<PreparedPicture> {
        let mut clock = Stopwatch::start();
        let tiles = self.grid(picture)?.map(|grid| (grid, picture.clone()));
        let prepared = self.preprocess().run(picture)?;
        Ok(PreparedPicture { prepared, tiles, took: clock.lap() })
    }

    /// The result of [`Detection::probabilities`] for a stored map, `[S, S]` (see [`Detection::square_map`]), and the size of its picture.
    ///
    /// # Errors
    /// The picture has no pixels.
    pub fn probabilities(
        &self,
        map: ArrayView2<'_, f32>,
        width: usize,
        height: usize,
    ) -> Result<Array2<f32>> {
        if width == 0 || height == 0 {
            return Err(Error::Setting(format!("a picture of {width} x {height} pixels has no map")));
        }
        let geometry = self.preprocess().on_square().geometry(width, height);
        Ok(probabilities(map, &geometry, &*self.class))
    }

    /// A ground-truth mask at the model's resolution, `[S, S]`, see [`Preprocess::mask`].
    ///
    /// # Errors
    /// The mask has no pixels.
    pub fn mask(&self, mask: &Picture) -> Result<Mask> {
        Ok(self.preprocess().mask(mask)?)
    }

    /// The second part of [`Detector::detect`]. The picture must have been prepared by this detector, or by
    /// one that differs only in its anchors.
    ///
    /// # Errors
    /// The picture was prepared for another size, or values are not finite.
    pub fn detect_prepared(&self, picture: PreparedPicture) -> Result<Detection> {
        let PreparedPicture { prepared, tiles, took } = picture;
        let tiles = tiles.as_ref().map(|(grid, picture)| Tiled { grid, picture });
        self.find(prepared, tiles, took)
    }

    fn find(&self, prepared: Prepared, tiles: Option<Tiled<'_>>, preprocess: Duration) -> Result<Detection> {
        let mut clock = Stopwatch::start();
        let own = match self.class.canvas() {
            Canvas::Input => prepared.geometry,
            Canvas::Picture => prepared.geometry.picture(),
        };
        let square = self.preprocess().on_square().geometry(own.across.input, own.down.input);
        let evidence = self.class.look(&batch(prepared.tensor, &self.device)?)?;
        let blend = tiles.as_ref().map(|tiled| self.blend(tiled)).transpose()?;
        let model = clock.lap();

        let (map, geometry) = match blend {
            Some(blend) => self.finish(blend),
            None => (final_map(&evidence.grids, size(&own), self.class.smoothing()), own),
        };
        let (map_min, map_max) =
            map.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), &v| (lo.min(v), hi.max(v)));
        let map_mean = map.mean().unwrap_or(f32::NAN);
        let score = self.class.score(evidence.image, map_max);
        if !(score.is_finite() && map_mean.is_finite()) {
            return Err(Error::NotFinite { what: "the anomaly map or score" });
        }
        Ok(Detection {
            score,
            components: Components { image: evidence.image, map_min, map_max, map_mean },
            map,
            geometry,
            tiles: tiles.map_or(1, |tiled| tiled.grid.count()),
            timing: Timing { preprocess, model, map: clock.lap() },
            class: Arc::clone(&self.class),
            square,
        })
    }
}

/// Rows and columns of the map of an input.
fn size(input: &Geometry) -> (usize, usize) {
    (input.down.size, input.across.size)
}

/// A picture `[3, H, W]` as a batch of one.
fn batch(picture: Array3<f32>, device: &Device) -> Result<Tensor> {
    let (channels, height, width) = picture.dim();
    let pixels = picture.into_raw_vec_and_offset().0;
    Ok(Tensor::from_vec(pixels, (1, channels, height, width), device)?)
}

/// Times consecutive stages.
struct Stopwatch(Instant);

impl Stopwatch {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn lap(&mut self) -> Duration {
        let lap = self.0.elapsed();
        self.0 = Instant::now();
        lap
    }
}
