//! The pictures that each class of a data set is compared with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use aaclip::dataset::{Dataset, Label, Sample};
use aaclip::image::is_picture_name;
use aaclip::methods::{Method, Scope};
use aaclip::{Error, References, Result};

use crate::cli::args::eval::EvalArgs;

/// The pictures to compare with, by class; `None`: those of `--reference`, if any.
///
/// # Errors
/// A class has fewer good pictures than `--shots`.
pub fn of_classes(
    data: &mut Dataset,
    args: &EvalArgs,
    method: &Method,
) -> Result<Option<BTreeMap<String, References>>> {
    let decoding = args.detector.decode_options();
    let classes: BTreeSet<String> = data.samples.iter().map(|s| s.class.clone()).collect();
    let of = |data: &Dataset, class: &str| -> Vec<(String, PathBuf)> {
        let samples = data.samples.iter().filter(|s| s.class == class);
        samples.map(|s| (s.name.clone(), s.path.clone())).collect()
    };
    let mut all = BTreeMap::new();
    for class in classes {
        let references = match (args.shots, args.peers) {
            (Some(shots), _) => {
                let drawn = shots_of(data, &class, shots, args.seed)?;
                References::files(drawn, decoding)
            }
            (None, Some(number)) => References::peers(of(data, &class), number, decoding),
            (None, None) if method.scope == Scope::Folder => {
                References::files(of(data, &class).into_iter().map(|(_, path)| path).collect(), decoding)
            }
            (None, None) => return Ok(None),
        };
        all.insert(class, references);
    }
    Ok(Some(all))
}

/// Good pictures of a class, drawn by a hash of their names and the seed. Those of the test pictures leave the data.
fn shots_of(data: &mut Dataset, class: &str, shots: usize, seed: u64) -> Result<Vec<PathBuf>> {
    let training = training_pictures(data, class);
    let from_test = training.is_empty();
    let good = |s: &&Sample| s.class == class && s.label == Label::Normal;
    let all: Vec<(String, PathBuf)> = if from_test {
        data.samples.iter().filter(good).map(|s| (s.name.clone(), s.path.clone())).collect()
    } else {
        training.into_iter().map(|path| (path.to_string_lossy().into_owned(), path)).collect()
    };
    if all.len() < shots {
        return Err(Error::Setting(format!(
            "class {class} has {} good pictures, less than --shots {shots}",
            all.len()
        )));
    }
    let drawn = References::drawn(all, shots, seed);
    if from_test {
        data.samples.retain(|sample| !drawn.contains(&sample.path));
    }
    Ok(drawn)
}

/// The good training pictures of a class in MVTec AD's layout.
fn training_pictures(data: &Dataset, class: &str) -> Vec<PathBuf> {
    let folders = [data.root.join(class).join("train/good"), data.root.join("train/good")];
    let pictures = |folder: &PathBuf| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        entries.map(|entry| entry.path()).filter(|path| is_picture_name(path)).collect()
    };
    folders.iter().map(pictures).find(|found| !found.is_empty()).unwrap_or_default()
}
