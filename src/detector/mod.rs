//! A detector: one model, one pair of anchors, one set of settings; picture after picture in, detections out.

mod detection;
mod evidence;
mod settings;
mod tiled;

pub use detection::{Components, Detection, Timing};
pub use settings::{DetectorMethod, DetectorSettings};

use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use ndarray::{Array2, Array3, ArrayView2};

use crate::adapters::Method;
use crate::anchors::{Anchors, Domain};
use crate::clip::{Checkpoint, Compute, VisionTower};
use crate::image::{Chain, Mask, Picture, Prepared, Preprocess};
use crate::levels::{check_levels, quarters};
use crate::methods::{aa_clip, sdp, sdp_plus};
use crate::tiles::TileGrid;
use crate::{Error, Result};
use detection::probabilities;
use evidence::{Evidence, scalar};
use tiled::Tiled;

/// A model with a method and anchors, ready to look at pictures. Clones share the tower's weights.
#[derive(Clone)]
pub struct Detector {
    vision: VisionTower,
    method: DetectorMethod,
    preprocess: Preprocess,
    /// `[D, 2]`
    anchors: Tensor,
    levels: Vec<usize>,
    settings: DetectorSettings,
    device: Device,
}

/// A picture as a detector's tower takes it.
#[derive(Debug, Clone)]
pub struct PreparedPicture {
    prepared: Prepared,
    /// Where its tiles lie, and the picture they are cut from, if it is looked at in more than one.
    tiles: Option<(TileGrid, Picture)>,
    took: Duration,
}

impl Detector {
    /// The largest side of the square a model can look at, in pixels: attention over a grid of more than a few thousand
    /// patches needs more memory than any machine has.
    pub const LARGEST_IMAGE: usize = 4096;

    /// Reads the image tower and takes the anchors.
    ///
    /// # Errors
    /// Settings that do not fit the model or the adapters, or weights that cannot be read.
    pub fn new(
        checkpoint: &Checkpoint,
        anchors: &Anchors,
        method: DetectorMethod,
        settings: &DetectorSettings,
        device: &Device,
    ) -> Result<Self> {
        let config = checkpoint.config();
        let image_size = settings.image_size(config, method.method());
        // A file may have named it: adapters say what they were trained with.
        if image_size > Self::LARGEST_IMAGE {
            return Err(Error::Setting(format!(
                "an image size of {image_size} is too large: at most {} pixels are looked at",
                Self::LARGEST_IMAGE
            )));
        }
        let levels = match &settings.levels {
            Some(levels) => check_levels(levels, config.vision.layers)?,
            None => quarters(config.vision.layers),
        };
        if let Some(trained) = method.trained_levels()
            && trained != levels.len()
        {
            return Err(Error::Setting(format!(
                "the adapters were trained for {trained} levels, these are {} ({levels:?}): name theirs with --levels",
                levels.len()
            )));
        }
        let columns = columns(anchors, config.embed_dim, device)?;
        let adapts = method.method().adapts_towers();
        Ok(Self {
            vision: checkpoint.vision(
                image_size,
                settings.activation(config, method.method()),
                &Compute::new(device, settings.precision),
            )?,
            preprocess: Preprocess {
                size: image_size,
                mean: config.normalisation.mean,
                std: config.normalisation.std,
                fit: settings.fit,
                chain: if adapts { Chain::RgbThenResize } else { Chain::ResizeThenRgb },
            },
            anchors: columns,
            method: method.packed()?,
            levels,
            settings: settings.clone(),
            device: device.clone(),
        })
    }

    /// The same detector for another class: shares the tower.
    ///
    /// # Errors
    /// Anchors of another width.
    pub fn with_anchors(&self, anchors: &Anchors, domain: Domain) -> Result<Self> {
        let width = self.anchors.dim(0)?;
        let mut other = Self { anchors: columns(anchors, width, &self.device)?, ..self.clone() };
        other.settings.domain = domain;
        Ok(other)
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.method.method()
    }

    /// The kind of pictures it scores.
    pub fn domain(&self) -> Domain {
        self.settings.domain
    }

    /// The levels whose features are compared.
    pub fn levels(&self) -> &[usize] {
        &self.levels
    }

    /// Side of the square the model looks at, in pixels.
    pub fn image_size(&self) -> usize {
        self.vision.image_size()
    }

    /// Looks at one picture.
    ///
    /// The result depends on the picture and the detector's settings alone, never on pictures seen before.
    ///
    /// # Errors
    /// A picture that cannot be made square (see [`Preprocess::run`]) or needs too many tiles (see [`TileGrid::new`]),
    /// or values that are not finite.
    pub fn detect(&self, picture: &Picture) -> Result<Detection> {
        let mut clock = Stopwatch::start();
        let grid = self.grid(picture)?;
        let prepared = self.preprocess.run(picture)?;
        self.find(prepared, grid.as_ref().map(|grid| Tiled { grid, picture }), clock.lap())
    }

    /// The first part of [`Detector::detect`], which needs neither the tower nor the device: other threads can do it
    /// while the model looks at another picture. A picture that is looked at in tiles is copied; they are prepared one
    /// by one later.
    ///
    /// # Errors
    /// A picture that cannot be made square, or needs too many tiles.
    pub fn prepare(&self, picture: &Picture) -> Result<PreparedPicture> {
        let mut clock = Stopwatch::start();
        let tiles = self.grid(picture)?.map(|grid| (grid, picture.clone()));
        let prepared = self.preprocess.run(picture)?;
        Ok(PreparedPicture { prepared, tiles, took: clock.lap() })
    }

    /// What [`Detection::probabilities`] gives for a map that was kept, `[S, S]`, and the size of its picture.
    ///
    /// # Errors
    /// A picture without pixels.
    pub fn probabilities(
        &self,
        map: ArrayView2<'_, f32>,
        width: usize,
        height: usize,
    ) -> Result<Array2<f32>> {
        if width == 0 || height == 0 {
            return Err(Error::Setting(format!("a picture of {width} x {height} pixels has no map")));
        }
        let geometry = self.preprocess.geometry(width, height);
        Ok(probabilities(map, &geometry, self.method(), self.levels.len()))
    }

    /// A ground-truth mask at the model's resolution, `[S, S]`, see [`Preprocess::mask`].
    ///
    /// # Errors
    /// A mask without pixels.
    pub fn mask(&self, mask: &Picture) -> Result<Mask> {
        Ok(self.preprocess.mask(mask)?)
    }

    /// The second part of [`Detector::detect`]. The picture must have been prepared by this detector, or by one that
    /// differs in its anchors only.
    ///
    /// # Errors
    /// A picture prepared for another size, or values that are not finite.
    pub fn detect_prepared(&self, picture: PreparedPicture) -> Result<Detection> {
        let PreparedPicture { prepared, tiles, took } = picture;
        let tiles = tiles.as_ref().map(|(grid, picture)| Tiled { grid, picture });
        self.find(prepared, tiles, took)
    }

    fn find(&self, prepared: Prepared, tiles: Option<Tiled<'_>>, preprocess: Duration) -> Result<Detection> {
        let mut clock = Stopwatch::start();
        let square = prepared.geometry;
        let evidence = self.look(&self.images(prepared.tensor)?)?;
        let blend = tiles.as_ref().map(|tiled| self.blend(tiled)).transpose()?;
        let model = clock.lap();

        let (map, geometry) = match blend {
            Some(blend) => self.finish(blend),
            None => (self.map(&evidence)?, square),
        };
        let (map_min, map_max) =
            map.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), &v| (lo.min(v), hi.max(v)));
        let map_mean = map.mean().unwrap_or(f32::NAN);
        let levels = self.levels.len();
        let (score, text_prob, image_pred) = match &evidence {
            Evidence::Sdp { similarity } => {
                let text = scalar(&similarity.text_probability)?;
                (sdp::score(text, map_max, levels), Some(text), None)
            }
            Evidence::SdpPlus { similarity, .. } => {
                let text = scalar(&similarity.text_probability)?;
                (sdp_plus::score(text, map_max, levels), Some(text), None)
            }
            Evidence::AaClip { image_prediction, .. } => {
                let score = aa_clip::score(*image_prediction, map_max, levels, self.settings.domain);
                (score, None, Some(*image_prediction))
            }
        };
        if !(score.is_finite() && map_mean.is_finite()) {
            return Err(Error::NotFinite { what: "the anomaly map or score" });
        }
        Ok(Detection {
            score,
            components: Components { text_prob, image_pred, map_min, map_max, map_mean },
            map,
            geometry,
            tiles: tiles.map_or(1, |tiled| tiled.grid.count()),
            timing: Timing { preprocess, model, map: clock.lap() },
            method: self.method(),
            levels,
            square,
        })
    }

    /// A picture of `[3, S, S]` as a batch of one.
    fn images(&self, picture: Array3<f32>) -> Result<Tensor> {
        let size = self.image_size();
        let pixels = picture.into_raw_vec_and_offset().0;
        Ok(Tensor::from_vec(pixels, (1, 3, size, size), &self.device)?)
    }
}

/// Anchors as the columns of `[D, 2]`.
fn columns(anchors: &Anchors, width: usize, device: &Device) -> Result<Tensor> {
    if anchors.normal.len() != width || anchors.abnormal.len() != width {
        return Err(Error::Setting(format!(
            "anchors of width {} do not fit a model of embedding width {width}",
            anchors.normal.len()
        )));
    }
    let values = anchors.normal.iter().zip(&anchors.abnormal).flat_map(|(&n, &a)| [n, a]);
    Ok(Tensor::from_iter(values, device)?.reshape((width, 2))?)
}

/// Times one stage after another.
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
