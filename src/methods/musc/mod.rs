//! MuSc (arXiv 2401.16753): the pictures of a folder score each other, without text, training or good pictures.
//!
//! Results match the official code (`xrli-U/MuSc`):
//!
//! * The value of a patch is its mean distance to the nearest patches of the 30 % of other pictures that are nearest, over
//!   levels and neighbourhoods of several sizes.
//! * The value of a picture is the maximum of its up-sampled map, stretched to 0..1 over the folder and averaged with those
//!   of the pictures whose class features are similar.
//! * Position embeddings are resampled without antialiasing. At another input size than the model's own, the activation
//!   is the exact GELU.
//!
//! All values of a folder are computed before the first picture is scored; a picture is found again by its pixels.

mod mutual;
mod neighbourhood;
mod rescoring;
mod store;

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::Tensor;
use ndarray::Array2;

use super::options::{self, MethodOption};
use super::{ClassModel, ImageTower, Method, Model, References, Scope, Setup, Trust, input_digest, unit};
use crate::anchors::ClassName;
use crate::clip::Activation;
use crate::clip::positions::Resampling;
use crate::image::{Chain, Fit, Preprocess};
use crate::map::{Alignment, Curve, Evidence, PatchGrid, Smoothing, bilinear};
use crate::progress::Progress;
use crate::{Error, Provenance, Result};

pub use mutual::{NEAREST, Patches, interval_mean, nearest_patches};
pub use neighbourhood::neighbourhoods;
pub use rescoring::rescored;
use store::{Neighbourhoods, Store};

/// MuSc, as published.
pub static METHOD: Method = Method {
    name: "musc",
    about: "MuSc: the pictures of a folder score each other, without text or good pictures",
    paper: "arXiv 2401.16753",
    prompts: None,
    describes_classes: false,
    options: &[&options::LEVELS, &DEGREES, &RESCORING],
    trained: None,
    references: References::Never,
    scope: Scope::Folder,
    image_value: "the official image score: the maximum of the map, stretched to 0..1 over the folder and averaged with \
                  those of similar pictures",
    score: "components.image (half of it with --rescoring 0)",
    load: |setup| Ok(Arc::new(MuSc::new(setup)?)),
    #[cfg(feature = "train")]
    trainer: None,
};

/// Sides of the neighbourhoods.
pub static DEGREES: MethodOption = MethodOption {
    name: "degrees",
    value: "1,3,5",
    help: "Sides of the neighbourhoods whose mean features are compared, in patches [default: 1,3,5]",
    list: true,
    default: Some("1,3,5"),
    check: |text| match text.parse::<usize>() {
        Ok(side) if side % 2 == 1 => Ok(()),
        _ => Err("expected an odd number of patches".to_owned()),
    },
    ..MethodOption::TEXT
};

/// Numbers of similar pictures.
pub static RESCORING: MethodOption = MethodOption {
    name: "rescoring",
    value: "1,2,3",
    help: "Numbers of similar pictures, itself included, whose scores adjust that of a picture (the paper: 1,8,9 for VisA); \
           0: none [default: 1,2,3]",
    list: true,
    default: Some("1,2,3"),
    check: options::whole_number,
    ..MethodOption::TEXT
};

/// Fewest pictures: of fewer, 30 % of the others are none.
const FEWEST: usize = 5;

/// The method with its weights.
struct MuSc {
    preprocess: Preprocess,
    extractor: Arc<Extractor>,
}

struct Extractor {
    tower: ImageTower,
    activation: Activation,
    levels: Vec<usize>,
    degrees: Vec<usize>,
    rescoring: Vec<usize>,
    progress: Progress,
}

impl MuSc {
    fn new(setup: &Setup) -> Result<Self> {
        let native = setup.clip.config().vision.image_size;
        let size = setup.image_size(native)?;
        let activation = setup.activation((size != native).then_some(Activation::Gelu));
        let tower = ImageTower::new(setup, size, activation).resampling(Resampling::Plain);
        let mut degrees: Vec<usize> = setup.options.list(&DEGREES)?.unwrap_or_default();
        degrees.sort_unstable();
        degrees.dedup();
        let extractor = Extractor {
            tower,
            activation,
            levels: setup.levels(None)?,
            degrees,
            rescoring: setup.options.list(&RESCORING)?.unwrap_or_default(),
            progress: setup.progress,
        };
        let preprocess = setup.preprocess(size, Chain::RgbThenResize, Fit::Squash);
        Ok(Self { preprocess, extractor: Arc::new(extractor) })
    }
}

impl Model for MuSc {
    fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    fn grid(&self) -> usize {
        self.extractor.tower.grid()
    }

    fn class(&self, _: &ClassName) -> Result<Arc<dyn ClassModel>> {
        Ok(Arc::new(OfFolder { extractor: Arc::clone(&self.extractor), found: HashMap::new() }))
    }

    fn prepare(&self) -> Result<()> {
        self.extractor.tower.get().map(drop)
    }

    fn provenance(&self, into: &mut Provenance) {
        let Extractor { levels, degrees, rescoring, activation, .. } = &*self.extractor;
        into.set("levels", format!("{levels:?}"));
        into.set("degrees", format!("{degrees:?}"));
        into.set("rescoring", format!("{rescoring:?}"));
        into.set("activation", activation.name());
    }
}

/// The result for a picture of the folder.
#[derive(Clone)]
struct Found {
    grid: Array2<f32>,
    image: f32,
}

/// The method for the pictures of a folder.
struct OfFolder {
    extractor: Arc<Extractor>,
    found: HashMap<[u8; 32], Found>,
}

impl Extractor {
    /// The features of all pictures, and per picture its digest, the size of its input and its class feature.
    fn features(&self, pictures: &mut dyn Iterator<Item = Result<Tensor>>) -> Result<(Store, Vec<Picture>)> {
        let tower = self.tower.get()?;
        let (mut store, mut all) = (None, Vec::new());
        for picture in pictures {
            let picture = picture?;
            let (feature, tokens) = tower.forward(&picture, &self.levels)?;
            let flat =
                |tokens: &Tensor| tokens.narrow(1, 1, tokens.dim(1)? - 1)?.flatten_all()?.to_vec1::<f32>();
            let levels = tokens.iter().map(flat).collect::<candle_core::Result<Vec<_>>>()?;
            let width = tokens.first().map_or(Ok(0), |t| t.dim(2))?;
            if store.is_none() {
                store = Some(Store::new(width, levels.len())?);
            }
            if let Some(store) = &mut store {
                store.add(tower.patches(&picture)?, &levels)?;
            }
            all.push(Picture {
                digest: input_digest(&picture)?,
                size: (picture.dim(2)?, picture.dim(3)?),
                feature: unit(&feature)?.flatten_all()?.to_vec1()?,
            });
        }
        match store {
            Some(store) if all.len() >= FEWEST => Ok((store, all)),
            _ => Err(Error::Setting(format!(
                "method musc compares the pictures of a folder with each other and needs at least {FEWEST}, not {}",
                all.len()
            ))),
        }
    }

    /// The values of the patches of all pictures: the mean over levels and degrees.
    fn grids(&self, store: &Store) -> Result<Vec<Array2<f32>>> {
        let count = store.count();
        let rounds = self.levels.len() * self.degrees.len();
        let bar = self.progress.items((rounds * count * (count - 1) / 2) as u64, "pairs");
        let mut sums: Vec<Vec<f64>> =
            (0..count).map(|i| vec![0.0; store.grid(i).0 * store.grid(i).1]).collect();
        for &degree in &self.degrees {
            for level in 0..self.levels.len() {
                let patches = Neighbourhoods { store, level, degree };
                for (sum, distances) in sums.iter_mut().zip(nearest_patches(&patches, &|| bar.inc(1))?) {
                    let values = interval_mean(&distances, count - 1, &NEAREST);
                    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value / rounds as f64);
                }
            }
        }
        bar.finish_and_clear();
        let grid = |(i, sum): (usize, Vec<f64>)| {
            let values = sum.into_iter().map(|v| v as f32).collect();
            Ok(Array2::from_shape_vec(store.grid(i), values).map_err(candle_core::Error::wrap)?)
        };
        sums.into_iter().enumerate().map(grid).collect()
    }
}

/// A picture before it is scored.
struct Picture {
    digest: [u8; 32],
    size: (usize, usize),
    feature: Vec<f32>,
}

impl ClassModel for OfFolder {
    fn look(&self, picture: &Tensor) -> Result<Evidence> {
        let Some(found) = self.found.get(&input_digest(picture)?) else {
            return Err(Error::Setting(
                "method musc scores the pictures of one folder together; this picture was not among them"
                    .to_owned(),
            ));
        };
        let grid =
            PatchGrid { values: found.grid.clone(), alignment: Alignment::Corners, curve: Curve::Linear };
        Ok(Evidence { image: Some(found.image), grids: vec![grid] })
    }

    fn smoothing(&self) -> Smoothing {
        Smoothing::None
    }

    fn score(&self, image: Option<f32>, _: f32) -> f32 {
        let stretched = self.extractor.rescoring != [0];
        image.map_or(f32::NAN, |value| if stretched { value } else { value / 2.0 })
    }

    fn probability(&self, distance: f32) -> f32 {
        (distance / 2.0).clamp(0.0, 1.0)
    }

    fn with_references(
        &self,
        pictures: &mut dyn Iterator<Item = Result<Tensor>>,
        _: Trust,
    ) -> Result<Arc<dyn ClassModel>> {
        let (store, pictures) = self.extractor.features(pictures)?;
        let grids = self.extractor.grids(&store)?;
        let highest = |(grid, picture): (&Array2<f32>, &Picture)| {
            let map = bilinear(grid.view(), picture.size, Alignment::Corners);
            f64::from(map.into_iter().fold(f32::NEG_INFINITY, f32::max))
        };
        let mut scores: Vec<f64> = grids.iter().zip(&pictures).map(highest).collect();
        if self.extractor.rescoring != [0] {
            let features: Vec<Vec<f32>> = pictures.iter().map(|p| p.feature.clone()).collect();
            scores = rescored(&scores, &features, &self.extractor.rescoring);
        }
        let found = pictures.iter().zip(grids.into_iter().zip(scores));
        let found = found.map(|(p, (grid, image))| (p.digest, Found { grid, image: image as f32 })).collect();
        Ok(Arc::new(Self { extractor: Arc::clone(&self.extractor), found }))
    }
}
