//! The pictures for a training run.

use std::collections::BTreeMap;
use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use crate::anchors::{ClassName, PromptSet};
use crate::dataset::{ANYTHING, Dataset, Label, Mask, Naming, Sample};
use crate::train::Example;
use crate::{Error, Result, files};

/// Selection and naming of the pictures.
#[derive(Debug, Clone, Copy)]
pub struct TrainingSource<'a> {
    /// Labelled data sets: a path, or `DATASET:ROOT` with a DATASET whose classes are described.
    pub data: &'a [String],
    /// The class text for all pictures.
    pub class: Option<&'a str>,
    /// Largest number of good and of defective pictures per class, chosen by the seed.
    pub shots: Option<usize>,
    /// Whether classes are named by the descriptions of their data set.
    pub described: bool,
    /// Seed for the choice of pictures.
    pub seed: u64,
}

/// Pictures with their classes.
#[derive(Debug, Clone)]
pub struct TrainingData {
    /// The pictures.
    pub examples: Vec<Example>,
    /// Their classes.
    pub classes: Vec<ClassName>,
    /// Descriptions of unusable parts.
    pub problems: Vec<String>,
    names: Vec<String>,
}

impl TrainingData {
    /// A short hash of the names of all pictures, in their order.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for name in &self.names {
            hash.update(name.as_bytes());
            hash.update([0]);
        }
        let digest = files::hex(&hash.finalize()[..8]);
        format!("{} pictures {digest}", self.names.len())
    }

    /// Reads all data sets of a source.
    ///
    /// # Errors
    /// A data set cannot be read, or there is no usable picture.
    pub fn read(source: &TrainingSource<'_>, prompts: &PromptSet) -> Result<Self> {
        let mut all =
            Self { examples: Vec::new(), classes: Vec::new(), problems: Vec::new(), names: Vec::new() };
        for spec in source.data {
            all.add(source, spec, prompts)?;
        }
        if all.examples.is_empty() {
            return Err(Error::Setting("no picture to train on: defective ones need masks".to_owned()));
        }
        Ok(all)
    }

    fn add(&mut self, source: &TrainingSource<'_>, spec: &str, prompts: &PromptSet) -> Result<()> {
        let (dataset, root) = split(spec, prompts);
        let mut data = Dataset::open(Path::new(root), None)?;
        self.problems.extend(data.problems.iter().map(ToString::to_string));
        if let Some(shots) = source.shots {
            data.samples = few(data.samples, shots, source.seed);
        }
        let dataset = dataset.map(str::to_owned).or_else(|| prompts.dataset_of(&data.classes()));
        let naming = Naming {
            prompts,
            class: source.class,
            dataset: dataset.as_deref().filter(|_| source.described),
            layout: data.layout,
        };
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        let without = data.samples.iter().filter(|s| s.mask == Mask::Unlabelled).count();
        if without > 0 {
            self.problems.push(format!("{root}: {without} defective pictures without a mask are left out"));
        }
        for sample in data.samples {
            if sample.mask == Mask::Unlabelled {
                continue;
            }
            let class = match known.get(&sample.class) {
                Some(&class) => class,
                None => {
                    let name = naming.name(&sample.class)?;
                    self.classes.push(name);
                    known.insert(sample.class.clone(), self.classes.len() - 1);
                    self.classes.len() - 1
                }
            };
            self.names.push(sample.name);
            self.examples.push(Example { masks: sample.mask.files().to_vec(), path: sample.path, class });
        }
        Ok(())
    }
}

/// Splits `DATASET:ROOT` if the classes of DATASET are described and ROOT exists; other texts are paths.
fn split<'a>(spec: &'a str, prompts: &PromptSet) -> (Option<&'a str>, &'a str) {
    match spec.split_once(':') {
        Some((name, root)) if !Path::new(spec).exists() && prompts.describe(ANYTHING, Some(name)).is_ok() => {
            (Some(name), root)
        }
        _ => (None, spec),
    }
}

/// At most `shots` good and as many defective samples of each class.
fn few(samples: Vec<Sample>, shots: usize, seed: u64) -> Vec<Sample> {
    let mut order: Vec<usize> = (0..samples.len()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let mut taken: BTreeMap<(&str, Label), usize> = BTreeMap::new();
    let mut keep = vec![false; samples.len()];
    for i in order {
        let count = taken.entry((&samples[i].class, samples[i].label)).or_default();
        if *count < shots {
            *count += 1;
            keep[i] = true;
        }
    }
    samples.into_iter().zip(keep).filter(|(_, keep)| *keep).map(|(s, _)| s).collect()
}
