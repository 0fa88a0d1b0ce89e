//! A memory of patches of good parts: the distance of every patch to the nearest one (AnomalyDINO, arXiv 2405.14529), with
//! the patches of a CLIP tower.
//!
//! Results match the official code with CLIP's last block, after `ln_post`, in place of DINOv2's. It needs no text and no
//! training, but one good picture or more.
//!
//! * Pictures keep their proportions; what is less than a patch at the right and lower border is cut. The map stretches
//!   over the whole picture nevertheless, has its pixels and is smoothed there.
//! * The value of a picture is the mean of the highest hundredth of its distances.

mod background;
mod distance;
mod rotation;

use std::sync::Arc;

use candle_core::Tensor;
use ndarray::Array2;

use super::options::MethodOption;
use super::{Canvas, ClassModel, ImageTower, Method, Model, References, Scope, Setup, Trust};
use crate::anchors::ClassName;
use crate::clip::VisionTower;
use crate::image::{Chain, Fit, Picture, Preprocess};
use crate::map::{Alignment, Curve, Evidence, PatchGrid, Sigma, Smoothing};
use crate::{Error, Provenance, Result};

pub use background::{first_component, mask};
pub use distance::{Memory, Metric, highest_hundredth};
pub use rotation::rotated;

/// The memory of good parts, as published.
pub static METHOD: Method = Method {
    name: "reference",
    about: "AnomalyDINO's memory of good parts, with CLIP's patches and without text",
    paper: "arXiv 2405.14529",
    prompts: None,
    describes_classes: false,
    options: &[&NEIGHBOURS, &METRIC, &ROTATIONS, &BACKGROUND, &BACKGROUND_OF],
    trained: None,
    references: References::Needed,
    scope: Scope::Picture,
    image_value: "the official image score: the mean of the highest hundredth of the patches' distances",
    score: "d / (1 + d) for d = components.image",
    load: |setup| Ok(Arc::new(Reference::new(setup)?)),
    #[cfg(feature = "train")]
    trainer: None,
};

/// Compared patches of the memory.
pub static NEIGHBOURS: MethodOption = MethodOption {
    name: "neighbours",
    value: "K",
    help: "Nearest patches of good parts that a patch is compared with [default: 1]",
    default: Some("1"),
    check: |text| match text.parse::<usize>() {
        Ok(1..) => Ok(()),
        _ => Err("expected a number of patches, at least 1".to_owned()),
    },
    ..MethodOption::TEXT
};

/// The distance of two patches.
pub static METRIC: MethodOption = MethodOption {
    name: "metric",
    value: "METRIC",
    help: "The distance of two patches",
    default: Some("cosine"),
    values: &[
        ("cosine", "Half of the squared distance of unit vectors"),
        ("l2", "The distance of the vectors"),
    ],
    ..MethodOption::TEXT
};

/// Turned copies of each reference.
pub static ROTATIONS: MethodOption = MethodOption {
    name: "rotations",
    value: "N",
    help: "Copies of each good picture, turned by equal steps, for parts that lie turned: 8 in the paper [default: 1]",
    default: Some("1"),
    check: |text| match text.parse::<usize>() {
        Ok(1..=360) => Ok(()),
        _ => Err("expected a number from 1 to 360".to_owned()),
    },
    ..MethodOption::TEXT
};

/// The threshold of the mask of patches that show the part.
pub static BACKGROUND: MethodOption = MethodOption {
    name: "background",
    value: "T",
    help: "Leave out patches of the background: those whose first principal component is at most T (10 in the paper, for \
           DINOv2; other towers need another value) [default: all patches count]",
    check: |text| match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(()),
        _ => Err("expected a number".to_owned()),
    },
    ..MethodOption::TEXT
};

/// Which pictures the mask applies to.
pub static BACKGROUND_OF: MethodOption = MethodOption {
    name: "background-of",
    value: "PICTURES",
    help: "The pictures whose background --background leaves out",
    default: Some("scored"),
    values: &[("scored", "The scored pictures"), ("all", "The good pictures too")],
    ..MethodOption::TEXT
};

/// The smoothing of the map, in pixels of the picture.
const SMOOTHING: Sigma = Sigma::new(4.0).unwrap();

/// The settings of a memory.
#[derive(Debug, Clone, Copy)]
struct Settings {
    neighbours: usize,
    metric: Metric,
    rotations: usize,
    background: Option<f64>,
    /// Whether the background of good pictures is left out too.
    of_all: bool,
}

/// The method with its weights.
struct Reference {
    preprocess: Preprocess,
    settings: Settings,
    tower: Arc<ImageTower>,
    activation: &'static str,
}

impl Reference {
    fn new(setup: &Setup) -> Result<Self> {
        let size = setup.image_size(setup.clip.config().vision.image_size)?;
        let activation = setup.activation(None);
        let settings = Settings {
            neighbours: setup.options.value(&NEIGHBOURS)?,
            metric: setup.options.value(&METRIC)?,
            rotations: setup.options.value(&ROTATIONS)?,
            background: setup.options.get(&BACKGROUND)?,
            of_all: setup.options.text(&BACKGROUND_OF) == Some("all"),
        };
        Ok(Self {
            preprocess: setup.preprocess(size, Chain::RgbThenResize, Fit::Shorter),
            settings,
            tower: Arc::new(ImageTower::new(setup, size, activation)),
            activation: activation.name(),
        })
    }
}

impl Model for Reference {
    fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    fn grid(&self) -> usize {
        self.tower.grid()
    }

    fn class(&self, _: &ClassName) -> Result<Arc<dyn ClassModel>> {
        Ok(Arc::new(Remembering { tower: Arc::clone(&self.tower), settings: self.settings, memory: None }))
    }

    fn copies(&self, picture: &Picture) -> Vec<Picture> {
        let turns = self.settings.rotations;
        (1..turns).map(|turn| rotated(picture, 360.0 / turns as f64 * turn as f64)).collect()
    }

    fn prepare(&self) -> Result<()> {
        self.tower.get().map(drop)
    }

    fn provenance(&self, into: &mut Provenance) {
        let Settings { neighbours, metric, rotations, background, of_all } = self.settings;
        into.set("neighbours", neighbours);
        into.set("metric", if metric == Metric::Cosine { "cosine" } else { "l2" });
        into.set("rotations", rotations);
        if let Some(threshold) = background {
            let of = if of_all { "all pictures" } else { "scored pictures" };
            into.set("background", format!("{threshold} of {of}"));
        }
        into.set("activation", self.activation);
    }
}

/// The patches of a picture `[1, 3, H, W]` after the last block and `ln_post`: `[L, W]`.
///
/// # Errors
/// The picture is smaller than a patch.
pub fn patches(tower: &VisionTower, picture: &Tensor) -> candle_core::Result<Tensor> {
    let mut x = tower.embed(picture)?;
    for block in tower.blocks() {
        x = block.forward(&x, false)?;
    }
    tower.ln_post(&x.narrow(1, 1, x.dim(1)? - 1)?)?.squeeze(0)
}

/// The method with a memory.
struct Remembering {
    tower: Arc<ImageTower>,
    settings: Settings,
    memory: Option<Memory>,
}

impl Remembering {
    /// A picture's grid, its patches, and which of them count.
    fn patches(&self, picture: &Tensor, masked: bool) -> Result<((usize, usize), Tensor, Vec<bool>)> {
        let tower = self.tower.get()?;
        let grid = tower.patches(picture)?;
        let patches = patches(tower, picture)?;
        let counted = match self.settings.background.filter(|_| masked) {
            Some(threshold) => mask(&first_component(&patches)?, grid, threshold),
            None => vec![true; grid.0 * grid.1],
        };
        Ok((grid, patches, counted))
    }
}

fn counted(patches: &Tensor, counted: &[bool]) -> candle_core::Result<Vec<f32>> {
    let width = patches.dim(1)?;
    let all = patches.flatten_all()?.to_vec1::<f32>()?;
    if counted.iter().all(|&c| c) {
        return Ok(all);
    }
    let kept = all.chunks_exact(width).zip(counted).filter(|(_, counts)| **counts);
    Ok(kept.flat_map(|(patch, _)| patch).copied().collect())
}

impl ClassModel for Remembering {
    fn look(&self, picture: &Tensor) -> Result<Evidence> {
        let Some(memory) = &self.memory else {
            return Err(Error::Setting("method reference needs reference pictures".to_owned()));
        };
        let (grid, patches, counts) = self.patches(picture, true)?;
        let mut found = memory.distances(counted(&patches, &counts)?, self.settings.neighbours).into_iter();
        let distances: Vec<f32> =
            counts.iter().map(|&counts| if counts { found.next().unwrap_or(0.0) } else { 0.0 }).collect();
        let image = highest_hundredth(&distances);
        let values = Array2::from_shape_vec(grid, distances).map_err(candle_core::Error::wrap)?;
        let grid = PatchGrid { values, alignment: Alignment::HalfPixel, curve: Curve::Linear };
        Ok(Evidence { image: Some(image), grids: vec![grid] })
    }

    fn canvas(&self) -> Canvas {
        Canvas::Picture
    }

    fn smoothing(&self) -> Smoothing {
        Smoothing::Pixels(SMOOTHING)
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
        _: Trust,
    ) -> Result<Arc<dyn ClassModel>> {
        let (mut all, mut width) = (Vec::new(), 0);
        for picture in pictures {
            let (_, patches, counts) = self.patches(&picture?, self.settings.of_all)?;
            width = patches.dim(1)?;
            all.extend(counted(&patches, &counts)?);
        }
        if all.is_empty() {
            return Err(Error::Setting("the reference pictures have no patches that count".to_owned()));
        }
        let memory = Some(Memory::new(self.settings.metric, width, all));
        Ok(Arc::new(Self { tower: Arc::clone(&self.tower), settings: self.settings, memory }))
    }
}
