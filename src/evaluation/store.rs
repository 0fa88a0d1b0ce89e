//! Results on disk, so that an interrupted evaluation can continue.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::{EvaluationError, PictureResult};
use crate::journal::{Journal, JournalError, read_manifest, same_settings, write_manifest};
use crate::metrics::{Maps, Truth};
use crate::{Error, Provenance, Result};

const MANIFEST: &str = "manifest.json";
const RESULTS: &str = "results.jsonl";
const MAPS: &str = "maps.f32";

/// Version of the files' format.
const SCHEMA: u32 = 2;

/// The settings of a folder of results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the format.
    pub schema: u32,
    /// The program's version.
    pub version: String,
    /// The data set: its folder's name and layout.
    pub dataset: String,
    /// The model, as named by the user.
    pub model: String,
    /// The method.
    pub method: String,
    /// Side of the maps, in pixels.
    pub image_size: usize,
    /// The class text of the prompts, by class.
    pub classes: BTreeMap<String, String>,
    /// Everything that scores depend on, except picture and class.
    pub settings: Provenance,
}

impl Manifest {
    /// The manifest of a run of this program.
    pub fn new(dataset: String, model: String, image_size: usize, settings: Provenance) -> Self {
        let method = settings.get("method").unwrap_or_default().to_owned();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let classes = BTreeMap::new();
        Self { schema: SCHEMA, version, dataset, model, method, image_size, classes, settings }
    }

    /// The differences that prevent the results of both from being one evaluation. Classes may be added.
    fn differences(&self, earlier: &Self) -> Vec<String> {
        let mut all = self.settings.differences(&earlier.settings);
        let own = |m: &Self| {
            [
                ("schema", m.schema.to_string()),
                ("version", m.version.clone()),
                ("dataset", m.dataset.clone()),
                ("map size", m.image_size.to_string()),
            ]
        };
        let pairs = own(self).into_iter().zip(own(earlier)).filter(|(now, then)| now != then);
        all.extend(pairs.map(|((what, now), (_, then))| format!("{what}: {then} there, {now} here")));
        for (class, text) in &self.classes {
            if let Some(then) = earlier.classes.get(class).filter(|then| *then != text) {
                all.push(format!("class {class}: `{then}` there, `{text}` here"));
            }
        }
        all
    }
}

/// A folder of results: a manifest, one line per finished picture, and one file with all maps.
///
/// A map is written before its line, so that every line has its map.
pub struct Store {
    dir: PathBuf,
    manifest: Manifest,
    results: BTreeMap<String, PictureResult>,
    journal: Journal<PictureResult>,
    maps: File,
    next_map: u64,
}

impl Store {
    /// Opens a folder: a new one, an empty one, or one with results of the same settings, which are kept.
    /// `fresh` deletes earlier results.
    ///
    /// # Errors
    /// The folder has results of other settings or other files, is used by another process, or cannot be
    /// written.
    pub fn open(dir: &Path, mut manifest: Manifest, fresh: bool) -> Result<Self> {
        let io = |action| move |e| Error::io(action, dir, e);
        std::fs::create_dir_all(dir).map_err(io("create"))?;
        let (path, maps) = (dir.join(MANIFEST), dir.join(MAPS));
        let is_empty = std::fs::read_dir(dir).map_err(io("read"))?.next().is_none();
        if !is_empty && !path.exists() {
            return Err(EvaluationError::Foreign { dir: dir.to_owned() }.into());
        }
        if !fresh && let Some(earlier) = read_manifest::<Manifest>(&path)? {
            same_settings(dir, MANIFEST, manifest.differences(&earlier))?;
            manifest.classes.extend(earlier.classes);
        }
        let parse = |line: &[u8]| serde_json::from_slice(line).map_err(|e| e.to_string());
        let mut journal: Journal<PictureResult> = Journal::lock(&dir.join(RESULTS), parse)?;
        // Results need their maps.
        if fresh || !maps.exists() {
            journal.clear()?;
        }
        let mut results = BTreeMap::new();
        journal.read(|_, result| drop(results.insert(result.name.clone(), result)))?;
        write_manifest(&path, &manifest)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(fresh);
        let store = Self {
            dir: dir.to_owned(),
            journal,
            maps: options.open(&maps).map_err(|e| Error::io("write", &maps, e))?,
            next_map: results.values().map(|r: &PictureResult| r.map.saturating_add(1)).max().unwrap_or(0),
            manifest,
            results,
        };
        let whole = store.maps.metadata().map_err(io("read"))?.len() / store.map_bytes();
        if whole < store.next_map {
            let reason = format!("{whole} maps for {} results", store.next_map);
            return Err(JournalError::damaged(&maps, reason).into());
        }
        Ok(store)
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The settings of the results.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The result of a picture, if there is one.
    pub fn get(&self, name: &str) -> Option<&PictureResult> {
        self.results.get(name)
    }

    fn map_bytes(&self) -> u64 {
        (self.manifest.image_size * self.manifest.image_size * 4) as u64
    }

    /// Stores a result and its map `[S, S]`; sets the result's `map`.
    ///
    /// # Errors
    /// The files cannot be written, or the map has another size.
    pub fn add(&mut self, mut result: PictureResult, map: ArrayView2<'_, f32>) -> Result<()> {
        let size = self.manifest.image_size;
        if map.dim() != (size, size) {
            return Err(Error::Setting(format!(
                "the map has shape {:?}, expected {size} x {size}",
                map.dim()
            )));
        }
        result.map = self.next_map;
        let bytes: Vec<u8> = map.iter().flat_map(|v| v.to_le_bytes()).collect();
        let at = SeekFrom::Start(result.map * self.map_bytes());
        self.maps
            .seek(at)
            .and_then(|_| self.maps.write_all(&bytes))
            .map_err(|e| Error::io("write", self.dir.join(MAPS), e))?;
        self.journal.append(&result)?;
        self.next_map += 1;
        self.results.insert(result.name.clone(), result);
        Ok(())
    }

    /// The maps of some results with their ground truths, in the given order.
    ///
    /// # Errors
    /// The file of maps cannot be opened.
    pub fn maps<'a>(&self, results: &[&PictureResult], truths: &'a [Truth]) -> Result<StoredMaps<'a>> {
        let path = self.dir.join(MAPS);
        let file = File::open(&path).map_err(|e| Error::io("read", &path, e))?;
        Ok(StoredMaps {
            file: Mutex::new(file),
            path,
            numbers: results.iter().map(|r| r.map).collect(),
            values: self.manifest.image_size * self.manifest.image_size,
            truths,
        })
    }

    /// Deletes the maps, which need most of the space. A later run in this folder starts over.
    ///
    /// # Errors
    /// The file cannot be deleted.
    pub fn discard_maps(self) -> Result<()> {
        let path = self.dir.join(MAPS);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("remove", path, e)),
            _ => Ok(()),
        }
    }
}

/// Stored maps, read on request.
pub struct StoredMaps<'a> {
    file: Mutex<File>,
    path: PathBuf,
    numbers: Vec<u64>,
    values: usize,
    truths: &'a [Truth],
}

impl StoredMaps<'_> {
    fn bytes(&self, index: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.values * 4];
        let mut file = self.file.lock().unwrap_or_else(|e| e.into_inner());
        file.seek(SeekFrom::Start(self.numbers[index] * bytes.len() as u64))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

impl Maps for StoredMaps<'_> {
    fn len(&self) -> usize {
        self.numbers.len()
    }

    fn truth(&self, index: usize) -> &Truth {
        &self.truths[index]
    }

    fn read(&self, index: usize, values: &mut Vec<f32>) -> Result<()> {
        let bytes = self.bytes(index).map_err(|e| Error::io("read", &self.path, e))?;
        values.clear();
        values.extend(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)));
        Ok(())
    }
}
