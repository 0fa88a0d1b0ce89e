//! A cheap fingerprint of a model folder, for cache keys.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use crate::files::hex;

/// Number of sampled blocks of the weights file.
const SAMPLES: u64 = 64;
const SAMPLE_BYTES: u64 = 16 << 10;

/// A hash of the folder's path, the name, size and time of each of its files, and samples of the weights. Of a weights
/// file in a folder of other files: of the files of a model (`used`), with the text of its configuration.
///
/// A full hash of 1.7 GB would take a second at every start. This hash misses only an edit between the
/// samples that keeps path, size and modification time.
pub(super) fn fingerprint(
    dir: &Path,
    used: Option<(&[&OsStr], &str)>,
    weights: &Path,
) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    hash.update(std::fs::canonicalize(dir)?.as_os_str().as_encoded_bytes());
    let mut entries = std::fs::read_dir(dir)?.collect::<Result<Vec<_>, _>>()?;
    if let Some((names, config)) = used {
        entries.retain(|e| names.contains(&e.file_name().as_os_str()));
        hash.update(config.as_bytes());
    }
    entries.sort_by_key(|e| e.file_name());
    for entry in entries {
        // Follows links, because the hub's cache links its files.
        let about = std::fs::metadata(entry.path())?;
        if about.is_file() {
            hash.update(entry.file_name().as_encoded_bytes());
            hash.update(about.len().to_le_bytes());
            hash.update(modified(&about).to_le_bytes());
        }
    }
    sample(weights, &mut hash)?;
    Ok(hex(&hash.finalize()))
}

/// A hash of the model's content, wherever its folder is: the configuration and samples of every weights
/// file.
pub(super) fn identity(config: &str, weights: &Path) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    hash.update(config.as_bytes());
    for file in weights_files(weights)? {
        hash.update(std::fs::metadata(&file)?.len().to_le_bytes());
        sample(&file, &mut hash)?;
    }
    Ok(hex(&hash.finalize()))
}

/// A hash of the model's content, given the hash of its weights.
pub(super) fn identity_of(config: &str, weights: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(config.as_bytes());
    hash.update(weights);
    hex(&hash.finalize())
}

/// The file itself, or, for an index, the shards beside it.
fn weights_files(weights: &Path) -> std::io::Result<Vec<PathBuf>> {
    if weights.extension().is_none_or(|e| e != "json") {
        return Ok(vec![weights.to_owned()]);
    }
    let folder = weights.parent().unwrap_or(Path::new("."));
    let mut shards: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    shards.retain(|p| p.file_name().is_some_and(|n| n.to_string_lossy().contains("-of-")));
    shards.sort();
    Ok(shards)
}

fn sample(path: &Path, hash: &mut Sha256) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let step = (length / SAMPLES).max(SAMPLE_BYTES);
    let mut block = Vec::new();
    for start in (0..length).step_by(step as usize) {
        block.clear();
        file.seek(SeekFrom::Start(start))?;
        file.by_ref().take(SAMPLE_BYTES).read_to_end(&mut block)?;
        hash.update(&block);
    }
    Ok(())
}

/// Nanoseconds since 1970; 0 if the system does not report the time.
fn modified(about: &Metadata) -> u128 {
    about.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok()).map_or(0, |d| d.as_nanos())
}
