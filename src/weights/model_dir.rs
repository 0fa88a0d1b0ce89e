//! The weights file of a model folder.

use std::path::{Path, PathBuf};

use super::WeightsError;

/// Names in order of preference. open_clip's own names come before `model.safetensors`, which in the hub's
/// timm repositories has only the image tower, in timm's form.
const PREFERRED: [&str; 7] = [
    "open_clip_model.safetensors",
    "model.safetensors.index.json",
    "model.safetensors",
    "open_clip_pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
    "model.pt",
];

/// Endings of weight files with other names, in order of preference.
const ENDINGS: [&str; 5] = ["safetensors", "pt", "pth", "bin", "ckpt"];

/// Finds the weights of the model in `dir`: a well-known name, else the only file with a known ending.
///
/// # Errors
/// The folder has no weights, or several possible files.
pub fn weights_file(dir: &Path) -> Result<PathBuf, WeightsError> {
    if let Some(path) = PREFERRED.iter().map(|n| dir.join(n)).find(|p| p.is_file()) {
        return Ok(path);
    }
    let entries = std::fs::read_dir(dir)
        .map_err(|source| WeightsError::Io { file: dir.to_owned(), source })?
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| path.is_file());
    let mut files: Vec<PathBuf> = entries.collect();
    files.sort();
    for ending in ENDINGS {
        let mut matching = files.iter().filter(|p| p.extension().is_some_and(|e| e == ending));
        match (matching.next(), matching.next()) {
            (Some(only), None) => return Ok(only.clone()),
            (Some(one), Some(other)) => {
                return Err(WeightsError::Ambiguous {
                    dir: dir.to_owned(),
                    one: one.clone(),
                    other: other.clone(),
                });
            }
            (None, _) => {}
        }
    }
    Err(WeightsError::NoWeights { dir: dir.to_owned() })
}
