//! What `train` learns from.

use std::collections::BTreeMap;
use std::path::Path;

use aaclip::anchors::{ClassName, PromptSet};
use aaclip::dataset::{Dataset, Label, Mask, Sample};
use aaclip::train::Example;
use aaclip::{Error, Result, files};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use crate::cli::args::train::CommonArgs;
use crate::cli::classes::{ANYTHING, Naming};
use crate::cli::messages;

/// Pictures and the classes they are of.
pub struct TrainingData {
    pub examples: Vec<Example>,
    pub classes: Vec<ClassName>,
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
}

/// Reads all data sets of `--data`. What cannot be used is said on stderr; without any usable picture it is an error.
pub fn read(common: &CommonArgs, prompts: &PromptSet, described: bool, seed: u64) -> Result<TrainingData> {
    let mut all = TrainingData { examples: Vec::new(), classes: Vec::new(), names: Vec::new() };
    for spec in &common.data {
        let (dataset, root) = split(spec, prompts);
        let mut data = Dataset::open(Path::new(root), None)?;
        data.problems.iter().for_each(messages::error);
        if let Some(shots) = common.shots {
            data.samples = few(data.samples, shots as usize, seed);
        }
        let dataset = dataset.map(str::to_owned).or_else(|| prompts.dataset_of(&data.classes()));
        let naming = Naming {
            prompts,
            class: common.class.as_deref(),
            dataset: dataset.as_deref().filter(|_| described),
            layout: data.layout,
        };
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        let without = data.samples.iter().filter(|s| s.mask == Mask::Unlabelled).count();
        if without > 0 {
            messages::warn(format!("{root}: {without} defective pictures without a mask are left out"));
        }
        for sample in data.samples {
            let mask = match sample.mask {
                Mask::None => None,
                Mask::File(path) => Some(path),
                Mask::Unlabelled => continue,
            };
            let class = match known.get(&sample.class) {
                Some(&class) => class,
                None => {
                    let name = naming.name(&sample.class)?;
                    all.classes.push(name);
                    known.insert(sample.class.clone(), all.classes.len() - 1);
                    all.classes.len() - 1
                }
            };
            all.names.push(sample.name);
            all.examples.push(Example { path: sample.path, mask, class });
        }
    }
    match all.examples.is_empty() {
        true => Err(Error::Setting("no picture to train on: defective ones need masks".to_owned())),
        false => Ok(all),
    }
}

/// `DATASET:ROOT` where DATASET is one whose classes are described and ROOT exists; else a path as it is.
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
