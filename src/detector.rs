//! A detector: one model, one pair of anchors, one set of settings; picture after picture in, detections out.

use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use ndarray::Array2;

use crate::anchors::Anchors;
use crate::clip::{Activation, Checkpoint, TapFidelity, VisionTower};
use crate::image::{Chain, Fit, Geometry, Picture, Preprocess};
use crate::map::{Alignment, Sigma, bilinear, gaussian, restore};
use crate::methods::sdp;
use crate::{Error, Result};

/// How a [`Detector`] looks at pictures. The defaults are CLIP-AD's.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectorSettings {
    /// Side of the square the model looks at, in pixels; `None`: what the weights were trained at.
    pub image_size: Option<usize>,
    /// Levels (1-based numbers of blocks) whose features are compared; `None`: the ends of the tower's quarters.
    pub levels: Option<Vec<usize>>,
    /// Smoothing of the map, in pixels at the model's resolution.
    pub smoothing: Sigma,
    /// Whether tapped features carry the reference code's in-place updates.
    pub fidelity: TapFidelity,
    /// The towers' activation; `None`: the configuration's.
    pub activation: Option<Activation>,
    /// How a picture is made square.
    pub fit: Fit,
}

impl Default for DetectorSettings {
    fn default() -> Self {
        Self {
            image_size: None,
            levels: None,
            smoothing: Sigma::SDP,
            fidelity: TapFidelity::default(),
            activation: None,
            fit: Fit::default(),
        }
    }
}

/// The training-free detector of CLIP-AD (SDP), ready to look at pictures.
pub struct Detector {
    vision: VisionTower,
    preprocess: Preprocess,
    /// `[D, 2]`
    anchors: Tensor,
    levels: Vec<usize>,
    fidelity: TapFidelity,
    smoothing: Sigma,
    device: Device,
}

/// What a detector finds in one picture.
#[derive(Debug, Clone)]
pub struct Detection {
    /// How anomalous the picture is, 0..1; see [`sdp::score`].
    pub score: f32,
    /// The parts the score is made of, in the reference's own units.
    pub components: Components,
    /// The reference's map after smoothing, at the model's resolution: `[S, S]`.
    pub map: Array2<f32>,
    /// How the map lies on the picture.
    pub geometry: Geometry,
    /// Where the time went.
    pub timing: Timing,
    levels: usize,
}

/// The parts a score is made of.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Components {
    /// Probability of "abnormal" for the whole picture (the reference's `pr_sp0`).
    pub text_prob: f32,
    /// The highest value of the smoothed map (the reference's `pr_sp1`).
    pub map_max: f32,
    /// The mean value of the smoothed map.
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

impl Detector {
    /// Reads the image tower and takes the anchors.
    ///
    /// # Errors
    /// Settings that do not fit the model, or weights that cannot be read.
    pub fn new(
        checkpoint: &Checkpoint,
        anchors: &Anchors,
        settings: &DetectorSettings,
        device: &Device,
    ) -> Result<Self> {
        let config = checkpoint.config();
        let image_size = settings.image_size.unwrap_or(config.vision.image_size);
        let levels = match &settings.levels {
            Some(levels) => check_levels(levels, config.vision.layers)?,
            None => quarters(config.vision.layers),
        };
        let activation = settings.activation.unwrap_or(config.activation);
        let width = config.embed_dim;
        if anchors.normal.len() != width || anchors.abnormal.len() != width {
            return Err(Error::Setting(format!(
                "anchors of width {} do not fit a model of embedding width {width}",
                anchors.normal.len()
            )));
        }
        let columns = anchors.normal.iter().zip(&anchors.abnormal).flat_map(|(&n, &a)| [n, a]);
        Ok(Self {
            vision: checkpoint.vision(image_size, activation, device)?,
            preprocess: Preprocess {
                size: image_size,
                mean: config.normalisation.mean,
                std: config.normalisation.std,
                fit: settings.fit,
                chain: Chain::ResizeThenRgb,
            },
            anchors: Tensor::from_iter(columns, device)?.reshape((width, 2))?,
            levels,
            fidelity: settings.fidelity,
            smoothing: settings.smoothing,
            device: device.clone(),
        })
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
    /// A picture that cannot be made square (see [`Preprocess::run`]), or values that are not finite.
    pub fn detect(&self, picture: &Picture) -> Result<Detection> {
        let mut clock = Stopwatch::start();
        let prepared = self.preprocess.run(picture)?;
        let size = self.image_size();
        let pixels = prepared.tensor.into_raw_vec_and_offset().0;
        let images = Tensor::from_vec(pixels, (1, 3, size, size), &self.device)?;
        let preprocess = clock.lap();

        let features = self.vision.dual_path(&images, &self.levels, self.fidelity)?;
        let found = sdp::similarity(&features, &self.anchors)?;
        let text_prob = found.text_probability.squeeze(0)?.to_scalar::<f32>()?;
        let grid = found.grid()?.squeeze(0)?;
        let (height, width) = grid.dims2()?;
        let grid = grid.flatten_all()?.to_vec1::<f32>()?;
        let model = clock.lap();

        let grid = Array2::from_shape_fn((height, width), |(y, x)| grid[y * width + x]);
        let map = gaussian(bilinear(grid.view(), (size, size), Alignment::HalfPixel).view(), self.smoothing);
        let map_max = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let map_mean = map.mean().unwrap_or(f32::NAN);
        let levels = self.levels.len();
        let score = sdp::score(text_prob, map_max, levels);
        if !(score.is_finite() && map_mean.is_finite()) {
            return Err(Error::NotFinite { what: "the anomaly map or score" });
        }
        Ok(Detection {
            score,
            components: Components { text_prob, map_max, map_mean },
            map,
            geometry: prepared.geometry,
            timing: Timing { preprocess, model, map: clock.lap() },
            levels,
        })
    }
}

impl Detection {
    /// The probability of "abnormal" for every pixel of the picture, `[H, W]`; see [`sdp::probability`].
    ///
    /// Pixels the model did not see (those cut off by [`Fit::Crop`]) are 0.
    pub fn probabilities(&self) -> Array2<f32> {
        let mut map = restore(self.map.view(), &self.geometry, f32::NEG_INFINITY);
        map.par_mapv_inplace(|v| sdp::probability(v, self.levels));
        map
    }
}

/// The ends of a tower's quarters: 3, 6, 9, 12 of 12; every level of a tower of less than four blocks.
pub fn quarters(layers: usize) -> Vec<usize> {
    let mut levels: Vec<usize> = (1..=4).map(|k| ((k * layers + 2) / 4).max(1)).collect();
    levels.dedup();
    levels
}

fn check_levels(levels: &[usize], layers: usize) -> Result<Vec<usize>> {
    let mut sorted = levels.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    match sorted.iter().find(|&&l| l == 0 || l > layers) {
        Some(l) => {
            Err(Error::Setting(format!("level {l} does not exist: this model has levels 1 to {layers}")))
        }
        None if sorted.is_empty() => Err(Error::Setting("at least one level is needed".to_owned())),
        None => Ok(sorted),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarters_of_any_depth() {
        assert_eq!(quarters(12), [3, 6, 9, 12]);
        assert_eq!(quarters(24), [6, 12, 18, 24]);
        assert_eq!(quarters(8), [2, 4, 6, 8]);
        assert_eq!(quarters(10), [3, 5, 8, 10]);
        assert_eq!(quarters(2), [1, 2]);
        assert_eq!(quarters(1), [1]);
        for layers in 1..100 {
            let levels = quarters(layers);
            assert_eq!(levels.last(), Some(&layers));
            assert!(levels.is_sorted() && levels[0] >= 1);
        }
    }

    #[test]
    fn levels_are_checked_and_ordered() {
        assert_eq!(check_levels(&[4, 2, 4], 4).unwrap(), [2, 4]);
        for bad in [&[0][..], &[5], &[]] {
            assert!(check_levels(bad, 4).is_err());
        }
    }
}
