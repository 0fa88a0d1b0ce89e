//! Reads the records of a run's folder.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::GalleryError;
use crate::batch::{Manifest, RunResults};
use crate::journal::read_entries;
use crate::output::{Outcome, Record};
use crate::{Error, Result};

/// Largest number of regions shown per picture, those with the highest peaks: more would hide the picture.
pub const MOST_REGIONS: usize = 32;

/// The results of `aaclip detect` in a folder: one picture per name, with its last record.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectRun {
    /// The folder.
    pub folder: PathBuf,
    /// The pictures in the order of their first records.
    pub pictures: Vec<ShownPicture>,
    /// Pictures with a record that were removed from their folder, and are not in `pictures`.
    pub removed: usize,
}

/// The shown part of one record.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownPicture {
    /// The record, with the first [`MOST_REGIONS`] regions.
    pub record: Record,
    /// Number of all regions.
    pub region_count: usize,
    /// The picture's file, relative to the folder where the run was started.
    pub file: PathBuf,
}

impl ShownPicture {
    fn new(mut record: Record, started_in: Option<&Path>) -> Self {
        let mut region_count = 0;
        if let Outcome::Scored(scored) = &mut record.outcome {
            region_count = scored.regions.len();
            scored.regions.truncate(MOST_REGIONS);
            scored.regions.shrink_to_fit();
        }
        let mut picture = Self { record, region_count, file: PathBuf::new() };
        let file = picture.recorded_path(&picture.record.input.path);
        picture.file = started_in.map_or_else(|| file.clone(), |folder| folder.join(&file));
        picture
    }

    /// The picture's name as text. Unique in the folder if file names are UTF-8.
    pub fn name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.key())
    }

    /// Whether the run read the file and it is gone now, while the folder that was searched exists.
    fn was_removed(&self) -> bool {
        let searched = || {
            let mut folder = self.file.as_path();
            for _ in Path::new(&*self.name()).components() {
                folder = folder.parent()?;
            }
            Some(folder.is_dir() || folder.as_os_str().is_empty())
        };
        self.record.input.stamp.is_some()
            && matches!(self.file.try_exists(), Ok(false))
            && searched() == Some(true)
    }

    /// A unique key of the picture in the folder.
    pub(super) fn key(&self) -> &[u8] {
        &self.record.input.name
    }

    /// A path from the record, with the bytes of the picture's name.
    pub(super) fn recorded_path(&self, text: &str) -> PathBuf {
        match (self.name(), text.rsplit_once(&*self.name())) {
            (Cow::Owned(_), Some((before, after))) => {
                joined(&[before.as_bytes(), self.key(), after.as_bytes()])
            }
            _ => PathBuf::from(text),
        }
    }

    /// The score; `None` for a failed picture.
    pub fn score(&self) -> Option<f32> {
        Some(self.record.scored()?.score)
    }

    /// The verdict; `None` for a failed picture or without a threshold.
    pub fn anomalous(&self) -> Option<bool> {
        self.record.scored()?.anomalous
    }
}

impl DetectRun {
    /// Reads every `results.jsonl` and `results-I-of-N.jsonl` of `folder` with the manifests beside them.
    ///
    /// Of several records with one name the last counts, with files in the order of their names. An
    /// incomplete last line is a record being written, and is ignored. Pictures that were removed from the
    /// searched folder are left out, unless all were.
    ///
    /// # Errors
    /// The folder has no results, a line is damaged, records or a manifest have another schema, or a file
    /// cannot be read.
    pub fn read(folder: &Path) -> Result<Self> {
        let sources = sources(folder)?;
        if sources.is_empty() {
            return Err(GalleryError::NoResults(folder.to_owned()).into());
        }
        let mut pictures: Vec<ShownPicture> = Vec::new();
        let mut known: HashMap<Vec<u8>, usize> = HashMap::new();
        for (path, manifest) in &sources {
            let started_in = Manifest::read(manifest)?.map(|manifest| manifest.started_in);
            read_entries(path, Record::parse, |record| {
                let picture = ShownPicture::new(record, started_in.as_deref());
                match known.get(picture.key()) {
                    // The index comes from this list.
                    Some(&at) => pictures[at] = picture,
                    None => {
                        known.insert(picture.key().to_owned(), pictures.len());
                        pictures.push(picture);
                    }
                }
            })?;
        }
        if pictures.is_empty() {
            return Err(GalleryError::NothingFinished(folder.to_owned()).into());
        }
        let recorded = pictures.len();
        let gone: Vec<bool> = pictures.par_iter().map(ShownPicture::was_removed).collect();
        // If no picture is left, the folder was emptied as a whole and the page is what remains.
        if gone.contains(&false) {
            let mut gone = gone.into_iter();
            pictures.retain(|_| gone.next() != Some(true));
        }
        Ok(Self { folder: folder.to_owned(), removed: recorded - pictures.len(), pictures })
    }
}

#[cfg(unix)]
fn joined(parts: &[&[u8]]) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(parts.concat()).into()
}

#[cfg(not(unix))]
fn joined(parts: &[&[u8]]) -> PathBuf {
    String::from_utf8_lossy(&parts.concat()).into_owned().into()
}

/// The files of results in a folder, each with its manifest, in the order of their parts.
fn sources(folder: &Path) -> Result<Vec<(PathBuf, PathBuf)>> {
    let io = |e| Error::io("read", folder, e);
    let mut parts = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        parts.extend(name.to_str().and_then(RunResults::part_of));
    }
    parts.sort_by_key(|part| part.map(|part| (part.count(), part.index())));
    let path = |name: String| folder.join(name);
    Ok(parts.into_iter().map(|p| (path(RunResults::file_name(p)), path(Manifest::file_name(p)))).collect())
}
