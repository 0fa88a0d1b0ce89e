//! Our own memory of patches at several levels: of good parts, or of the folder itself.
//!
//! A patch has its distance to the nearest remembered patch if the pictures are known to be good, and the mean distance to
//! the nearest 30 % of pictures if some may be damaged. The level of good parts, at which probabilities are 1/2, is that of
//! the remembered pictures themselves, each compared with the others.

mod features;
mod memory;

use std::sync::Arc;

use candle_core::Tensor;
use ndarray::Array2;

use super::options;
use super::{ClassModel, ImageTower, Method, Model, References, Scope, Setup, Trust, input_digest};
use crate::anchors::ClassName;
use crate::image::{Chain, Fit, Preprocess};
use crate::map::{Alignment, Curve, Evidence, MapRange, PatchGrid, Sigma, Smoothing, blur};
use crate::methods::reference::highest_hundredth;
use crate::{Error, Provenance, Result};

pub use features::{Features, RADII};
pub use memory::{Digest, Levels, Memory};

/// The smoothing of the map, in patches.
const SIGMA: Sigma = Sigma::new(1.0).unwrap();
const TAPS: usize = 7;

/// The memory of pictures.
pub static METHOD: Method = Method {
    name: "nearest",
    about: "our memory of patches of good parts, or of the folder itself, without text",
    paper: "none: after MuSc (arXiv 2401.16753) and AnomalyDINO (arXiv 2405.14529)",
    prompts: None,
    describes_classes: false,
    options: &[&options::LEVELS],
    trained: None,
    references: References::Needed,
    scope: Scope::Picture,
    image_value: "the mean of the highest hundredth of the patches' distances, in units of the level of good parts",
    score: "d / (1 + d) for d = components.image: 0.5 at the level of good parts",
    load: |setup| Ok(Arc::new(Nearest::new(setup)?)),
    #[cfg(feature = "train")]
    trainer: None,
};

struct Nearest {
    preprocess: Preprocess,
    levels: Vec<usize>,
    tower: Arc<ImageTower>,
    activation: &'static str,
}

impl Nearest {
    fn new(setup: &Setup) -> Result<Self> {
        let size = setup.image_size(setup.clip.config().vision.image_size)?;
        let activation = setup.activation(None);
        Ok(Self {
            preprocess: setup.preprocess(size, Chain::RgbThenResize, Fit::Squash),
            levels: setup.levels(None)?,
            tower: Arc::new(ImageTower::new(setup, size, activation)),
            activation: activation.name(),
        })
    }
}

impl Model for Nearest {
    fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    fn grid(&self) -> usize {
        self.tower.grid()
    }

    fn class(&self, _: &ClassName) -> Result<Arc<dyn ClassModel>> {
        let (tower, levels) = (Arc::clone(&self.tower), self.levels.clone());
        Ok(Arc::new(Remembering { tower, levels, memory: None }))
    }

    fn prepare(&self) -> Result<()> {
        self.tower.get().map(drop)
    }

    fn provenance(&self, into: &mut Provenance) {
        into.set("levels", format!("{:?}", self.levels));
        into.set("activation", self.activation);
    }
}

/// The method with a memory.
struct Remembering {
    tower: Arc<ImageTower>,
    levels: Vec<usize>,
    memory: Option<Memory>,
}

impl Remembering {
    fn features(&self, picture: &Tensor) -> Result<Features> {
        Ok(Features::of(self.tower.get()?, picture, &self.levels)?)
    }
}

/// Copies of a picture as a camera might see the same part again: mirrored, shifted by half a patch, brighter, darker.
fn copies(picture: &Tensor, patch: usize) -> candle_core::Result<Vec<Tensor>> {
    let (height, width) = (picture.dim(2)?, picture.dim(3)?);
    let reversed = |dim: usize, side: usize| {
        let order = Tensor::from_iter((0..side as u32).rev(), picture.device())?;
        picture.index_select(&order, dim)
    };
    let shifted = |dim: usize, side: usize| {
        let order = (0..side).map(|i| (i + patch / 2).min(side - 1) as u32);
        picture.index_select(&Tensor::from_iter(order, picture.device())?, dim)
    };
    Ok(vec![reversed(3, width)?, shifted(2, height)?, shifted(3, width)?, (picture * 1.1)?, (picture * 0.9)?])
}

impl ClassModel for Remembering {
    fn look(&self, picture: &Tensor) -> Result<Evidence> {
        let Some(memory) = &self.memory else {
            return Err(Error::Setting("method nearest needs pictures to compare with".to_owned()));
        };
        let features = self.features(picture)?;
        let levels = memory.levels();
        let distances = memory.distances(&features, Some(input_digest(picture)?));
        let image = highest_hundredth(&distances) / levels.picture;
        let values = distances.into_iter().map(|d| d / levels.map).collect();
        let values = Array2::from_shape_vec(features.grid, values).map_err(candle_core::Error::wrap)?;
        let grid = PatchGrid { values, alignment: Alignment::HalfPixel, curve: Curve::Linear };
        Ok(Evidence { image: Some(image), grids: vec![grid] })
    }

    fn smoothing(&self) -> Smoothing {
        Smoothing::Patches { taps: TAPS, sigma: SIGMA }
    }

    fn levels(&self) -> Option<MapRange> {
        // A distance equal to the level of good parts has a probability of 1/2; clear damage is at three times that.
        MapRange::new(0.5, 0.75)
    }

    fn score(&self, image: Option<f32>, _: f32) -> f32 {
        image.map_or(f32::NAN, |distance| distance / (1.0 + distance))
    }

    fn probability(&self, distance: f32) -> f32 {
        let distance = distance.max(0.0);
        distance / (1.0 + distance)
    }

    fn with_references(
        &self,
        pictures: &mut dyn Iterator<Item = Result<Tensor>>,
        trust: Trust,
    ) -> Result<Arc<dyn ClassModel>> {
        let mut all = Vec::new();
        let mut first = None;
        for picture in pictures {
            let picture = picture?;
            all.push((input_digest(&picture)?, self.features(&picture)?));
            first.get_or_insert(picture);
        }
        let patch = self.tower.get()?.image_size() / self.tower.grid().max(1);
        let copies = match (&all[..], first) {
            ([_], Some(picture)) => {
                copies(&picture, patch)?.iter().map(|copy| self.features(copy)).collect::<Result<Vec<_>>>()?
            }
            _ => Vec::new(),
        };
        let highest = |features: &Features, distances: &[f32]| {
            let grid = Array2::from_shape_fn(features.grid, |(y, x)| distances[y * features.grid.1 + x]);
            blur(grid.view(), TAPS, SIGMA).into_iter().fold(0f32, f32::max)
        };
        let memory = Some(Memory::new(trust, &all, &copies, highest));
        Ok(Arc::new(Self { tower: Arc::clone(&self.tower), levels: self.levels.clone(), memory }))
    }
}
