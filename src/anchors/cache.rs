//! Anchors cached on disk, so that a second run needs no text encoding.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ndarray::Array1;
use sha2::{Digest, Sha256};

use super::Anchors;
use crate::Result;
use crate::files;

/// A hash of everything that anchors depend on, including the version of this program's arithmetic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchorKey(String);

/// Changed whenever the same key would give other anchors.
const VERSION: &str = "anchors-1";

impl AnchorKey {
    /// Hashes everything the anchors depend on, in a fixed order.
    pub fn new(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in [VERSION].iter().chain(parts) {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        Self(files::hex(&hash.finalize()))
    }
}

/// A folder of anchors. It can be deleted at any time; every file is verified by its checksum.
#[derive(Debug, Clone)]
pub struct AnchorCache {
    folder: Option<PathBuf>,
    /// Shared by clones.
    read_only: Arc<AtomicBool>,
}

impl AnchorCache {
    /// The user's cache: `anchors` in [`files::cache_dir`].
    pub fn new() -> Self {
        Self { folder: files::cache_dir().map(|d| d.join("anchors")), read_only: Arc::default() }
    }

    /// A cache in `folder`.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()), read_only: Arc::default() }
    }

    /// A cache that stores nothing.
    pub fn disabled() -> Self {
        Self { folder: None, read_only: Arc::default() }
    }

    /// Stops adding files to the cache, in this value and all its clones.
    pub fn close(&self) {
        self.read_only.store(true, Ordering::Relaxed);
    }

    /// The anchors of width `width` under `key`; built and stored if they are missing.
    ///
    /// A damaged file is rebuilt. If the folder cannot be written to, the anchors are rebuilt every time.
    ///
    /// # Errors
    /// Errors of `build`.
    pub fn get_or_build(
        &self,
        key: &AnchorKey,
        width: usize,
        build: impl FnOnce() -> Result<Anchors>,
    ) -> Result<Anchors> {
        let Some(path) = self.folder.as_ref().map(|f| f.join(format!("{}.bin", key.0))) else {
            return build();
        };
        if let Some(anchors) = read(&path, key, width) {
            return Ok(anchors);
        }
        let anchors = build()?;
        if !self.read_only.load(Ordering::Relaxed) {
            // Renamed into place, so that concurrent writers leave a complete file.
            let _ = files::write_atomic(&path, &encode(&anchors, key));
        }
        Ok(anchors)
    }
}

impl Default for AnchorCache {
    fn default() -> Self {
        Self::new()
    }
}

/// Both vectors as little-endian f32, followed by a hash of them and the key.
fn encode(anchors: &Anchors, key: &AnchorKey) -> Vec<u8> {
    let values = anchors.normal.iter().chain(&anchors.abnormal);
    let mut bytes: Vec<u8> = values.flat_map(|v| v.to_le_bytes()).collect();
    let checksum = checksum(&bytes, key);
    bytes.extend(checksum);
    bytes
}

fn read(path: &Path, key: &AnchorKey, width: usize) -> Option<Anchors> {
    let length = 2 * width * 4;
    let about = std::fs::metadata(path).ok()?;
    if about.len() != (length + 32) as u64 {
        return None;
    }
    let bytes = std::fs::read(path).ok()?;
    let (values, sum) = bytes.split_at_checked(length)?;
    if checksum(values, key) != sum {
        return None;
    }
    let values: Vec<f32> = values.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let (normal, abnormal) = values.split_at_checked(width)?;
    Some(Anchors { normal: Array1::from(normal.to_vec()), abnormal: Array1::from(abnormal.to_vec()) })
}

fn checksum(values: &[u8], key: &AnchorKey) -> [u8; 32] {
    Sha256::new().chain_update(key.0.as_bytes()).chain_update(values).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::sync::atomic::AtomicUsize;

    fn anchors(value: f32) -> Anchors {
        Anchors { normal: Array1::from(vec![value, 1.0]), abnormal: Array1::from(vec![0.5, -value]) }
    }

    #[test]
    fn built_once_and_again_only_if_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let cache = AnchorCache::at(dir.path());
        let key = AnchorKey::new(&["model", "bottle"]);
        let built = Cell::new(0);
        let get = || {
            let build = || {
                built.set(built.get() + 1);
                Ok(anchors(0.25))
            };
            assert_eq!(cache.get_or_build(&key, 2, build).unwrap(), anchors(0.25));
            built.get()
        };
        assert_eq!((get(), get()), (1, 1));
        let path = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
        let good = std::fs::read(&path).unwrap();
        let mut expected = 1;
        for i in 0..good.len() {
            let mut bad = good.clone();
            bad[i] ^= 1;
            std::fs::write(&path, &bad).unwrap();
            expected += 1;
            assert_eq!((get(), get()), (expected, expected), "byte {i}");
        }
        for bad in [&b""[..], &good[..7], &[&good[..], b"x"].concat()] {
            std::fs::write(&path, bad).unwrap();
            expected += 1;
            assert_eq!(get(), expected);
        }
    }

    #[test]
    fn keys_tell_their_parts_apart() {
        assert_ne!(AnchorKey::new(&["ab", "c"]), AnchorKey::new(&["a", "bc"]));
        assert_ne!(AnchorKey::new(&["a"]), AnchorKey::new(&["a", ""]));
        assert_eq!(AnchorKey::new(&["a", "b"]), AnchorKey::new(&["a", "b"]));
    }

    #[test]
    fn a_read_only_cache_is_read_only() {
        let dir = tempfile::tempdir().unwrap();
        let (cache, closed) = (AnchorCache::at(dir.path()), AnchorCache::at(dir.path()));
        closed.clone().close();
        let get = |cache: &AnchorCache, key: &str, value: f32| {
            cache.get_or_build(&AnchorKey::new(&[key]), 2, || Ok(anchors(value))).unwrap()
        };
        assert_eq!(get(&cache, "old", 0.5), anchors(0.5));
        assert_eq!(get(&closed, "old", 0.75), anchors(0.5));
        assert_eq!(get(&closed, "new", 0.75), anchors(0.75));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_unusable_folder_costs_nothing_but_time() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, b"").unwrap();
        for cache in [AnchorCache::at(file.join("below")), AnchorCache::disabled()] {
            let got = cache.get_or_build(&AnchorKey::new(&[]), 2, || Ok(anchors(1.0))).unwrap();
            assert_eq!(got, anchors(1.0));
        }
    }

    #[test]
    fn many_at_once_all_get_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let cache = AnchorCache::at(dir.path());
        let key = AnchorKey::new(&["shared"]);
        let built = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let got = cache.get_or_build(&key, 2, || {
                            built.fetch_add(1, Ordering::Relaxed);
                            Ok(anchors(0.75))
                        });
                        assert_eq!(got.unwrap(), anchors(0.75));
                    }
                });
            }
        });
        assert!((1..=16).contains(&built.into_inner()));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
