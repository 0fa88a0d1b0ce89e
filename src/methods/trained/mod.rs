//! Trained weights of methods: official checkpoints and this program's own files.
//!
//! A checkpoint is recognised by the names of its tensors, never by flags. Each method with trained weights
//! describes their format ([`TrainedFormat`]); the format of a file determines its method.

mod error;
mod header;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use sha2::{Digest, Sha256};

use super::{METHODS, Method, MethodOption};
use crate::weights::{self, TensorStore, builtin};

pub use error::TrainedError;
pub use header::Header;

/// How a method's trained weights are recognised and named.
#[non_exhaustive]
pub struct TrainedFormat {
    /// Their description: "SDP+'s linear layers".
    pub about: &'static str,
    /// The files that belong to a path, a file or a folder; `None`: the path does not have this format's
    /// layout.
    pub files: fn(&Path) -> Option<Vec<PathBuf>>,
    /// This program's name of an official tensor; `None`: the tensor is not part of the format.
    pub canonical: fn(&str) -> Option<Canonical>,
    /// The official name of a tensor of this program.
    pub official: fn(&str) -> String,
    /// The parts, for messages.
    pub parts: &'static [Part],
    /// Checks that weights are complete; the error names the missing part.
    pub check: fn(&Trained) -> Result<(), String>,
    /// Widths and depths of the tensors, by name.
    pub shapes: fn(&Trained) -> Vec<(&'static str, usize)>,
    /// The training options that a header may record.
    pub options: &'static [&'static MethodOption],
}

/// This program's name of an official tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canonical {
    /// The name.
    pub name: String,
    /// A header entry implied by the official name, used if the header does not have it.
    pub says: Option<(&'static str, &'static str)>,
}

impl Canonical {
    /// A name without an implied entry.
    pub fn plain(name: String) -> Self {
        Self { name, says: None }
    }
}

/// Numbered tensors of a format, counted from 0: `PREFIX.IENDING`.
pub struct Part {
    /// The text before the number.
    pub prefix: &'static str,
    /// The text after the number.
    pub ending: &'static str,
    /// Their description.
    pub about: &'static str,
}

/// A tensor: shape and values, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// The shape.
    pub shape: Vec<usize>,
    /// The values.
    pub values: Vec<f32>,
}

/// Trained weights as stored in files, not yet matched to a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    path: PathBuf,
    method: &'static Method,
    header: Header,
    /// By this program's names, see [`TrainedFormat::canonical`].
    tensors: BTreeMap<String, Values>,
}

/// A tensor's shape in a store, with its official name.
struct Found {
    store: usize,
    official: String,
    name: Canonical,
}

impl Trained {
    /// Reads trained weights: an official checkpoint (a file, or a folder as published) or a file of this
    /// program. `wanted` is the method to use; without it, the tensors determine the method.
    ///
    /// # Errors
    /// A file cannot be read, has no trained weights, has those of another method, or lacks some of them.
    pub fn read(path: &Path, wanted: Option<&'static Method>) -> Result<Self, TrainedError> {
        let none = |found: String| TrainedError::None { path: path.to_owned(), found };
        let files = files(path).map_err(none)?;
        let stores: Vec<Box<dyn TensorStore>> =
            files.iter().map(|file| weights::open(file)).collect::<Result<_, _>>()?;
        Self::take(files.last().map_or(path, PathBuf::as_path), &stores, wanted)
    }

    /// The trained weights of the built-in model.
    ///
    /// # Errors
    /// The embedded files are invalid, which a complete build excludes.
    pub fn builtin() -> Result<Self, TrainedError> {
        let store: Box<dyn TensorStore> = builtin::adapters()?;
        let path = store.path().to_owned();
        Self::take(&path, &[store], None)
    }

    /// The weights for another method of the same format; `None` if `method` has another format.
    pub fn of_method(mut self, method: &'static Method) -> Option<Self> {
        let same = method.trained.is_some_and(|format| std::ptr::eq(format, self.format()));
        self.method = method;
        same.then_some(self)
    }

    fn take(
        path: &Path,
        stores: &[Box<dyn TensorStore>],
        wanted: Option<&'static Method>,
    ) -> Result<Self, TrainedError> {
        let mut header = Header::default();
        stores.iter().for_each(|store| header.take(store.metadata()));
        let names = |format: &TrainedFormat| -> Vec<Found> {
            let of = |(store, official): (usize, String)| {
                Some(Found { store, name: (format.canonical)(&official)?, official })
            };
            let all = stores.iter().enumerate();
            all.flat_map(|(i, s)| s.names().into_iter().map(move |n| (i, n.to_owned())))
                .filter_map(of)
                .collect()
        };
        let mut candidates: Vec<(&'static Method, Vec<Found>)> = (METHODS.iter().copied())
            .filter_map(|m| Some((m, names(m.trained?))))
            .filter(|(_, found)| !found.is_empty())
            .collect();
        // The format with the most tensors wins; among methods with the same format, the first.
        candidates.sort_by_key(|(_, found)| std::cmp::Reverse(found.len()));
        let asked = wanted.or_else(|| Method::find(header.get("method")?));
        let chosen = candidates.iter().position(|(m, _)| asked.is_none_or(|a| a == *m)).or_else(|| {
            // A header may name a method without tensors in this file; the caller may not.
            (wanted.is_none() && !candidates.is_empty()).then_some(0)
        });
        let Some(chosen) = chosen else {
            return Err(match (wanted.and_then(|m| Some((m, m.trained?))), candidates.first()) {
                (Some((method, format)), Some((other, _))) => TrainedError::Method {
                    method: method.name,
                    needs: format.about,
                    path: path.to_owned(),
                    holds: Self::of(path, other, header, stores, &candidates[0].1)?.holds(),
                },
                _ => TrainedError::None { path: path.to_owned(), found: others(stores) },
            });
        };
        let (method, found) = candidates.swap_remove(chosen);
        let all = Self::of(path, method, header, stores, &found)?;
        all.check()?;
        Ok(all)
    }

    fn of(
        path: &Path,
        method: &'static Method,
        mut header: Header,
        stores: &[Box<dyn TensorStore>],
        found: &[Found],
    ) -> Result<Self, TrainedError> {
        let mut tensors = BTreeMap::new();
        for Found { store, official, name } in found {
            let store = &stores[*store];
            let shape = store.info(official).map(|i| i.shape.clone()).unwrap_or_default();
            let values = Values { shape, values: store.read_f32(official)? };
            if let Some((key, value)) = name.says {
                header.set_default(key, value);
            }
            if tensors.insert(name.name.clone(), values).is_some() {
                let problem = format!("`{official}` names a tensor that the file already has");
                return Err(TrainedError::Incomplete { path: path.to_owned(), problem });
            }
        }
        Ok(Self { path: path.to_owned(), method, header, tensors })
    }

    /// Trained weights from tensors with this program's names: shape and values, row-major. Errors name them
    /// `path`.
    ///
    /// # Errors
    /// A part is incomplete.
    pub fn from_values(
        path: &Path,
        method: &'static Method,
        header: Header,
        tensors: impl IntoIterator<Item = (String, Vec<usize>, Vec<f32>)>,
    ) -> Result<Self, TrainedError> {
        let tensors =
            tensors.into_iter().map(|(name, shape, values)| (name, Values { shape, values })).collect();
        let all = Self { path: path.to_owned(), method, header, tensors };
        all.check()?;
        Ok(all)
    }

    fn check(&self) -> Result<(), TrainedError> {
        let format = self.format();
        for Part { prefix, ending, .. } in format.parts {
            let numbered = |n: &&String| {
                n.strip_prefix(prefix)
                    .and_then(|rest| rest.strip_prefix('.'))
                    .and_then(|rest| rest.strip_suffix(ending))
                    .is_some_and(|index| index.parse::<usize>().is_ok())
            };
            let count = self.tensors.keys().filter(numbered).count();
            if let Some(i) = (0..count).find(|i| !self.tensors.contains_key(&format!("{prefix}.{i}{ending}")))
            {
                return Err(self.incomplete(format!("`{prefix}.{i}{ending}` is missing")));
            }
        }
        (format.check)(self).map_err(|problem| self.incomplete(problem))
    }

    fn incomplete(&self, problem: String) -> TrainedError {
        TrainedError::Incomplete { path: self.path.clone(), problem }
    }

    fn format(&self) -> &'static TrainedFormat {
        // Only methods with a format are chosen.
        self.method.trained.unwrap_or(&NOTHING)
    }

    /// Number of consecutive tensors `PREFIX.0ENDING`, `PREFIX.1ENDING`, ..
    pub fn count(&self, prefix: &str, ending: &str) -> usize {
        (0..).take_while(|i| self.tensors.contains_key(&format!("{prefix}.{i}{ending}"))).count()
    }

    /// A tensor by this program's name.
    pub fn get(&self, name: &str) -> Option<&Values> {
        self.tensors.get(name)
    }

    /// A tensor by this program's name, with the shape that a model needs.
    ///
    /// # Errors
    /// The tensor is missing or has another shape.
    pub fn tensor(&self, name: &str, expected: &[usize], device: &Device) -> crate::Result<Tensor> {
        let Some(Values { shape, values }) = self.tensors.get(name) else {
            return Err(self.incomplete(format!("`{name}` is missing")).into());
        };
        if shape != expected {
            return Err(TrainedError::OtherModel {
                path: self.path.clone(),
                tensor: name.to_owned(),
                expected: expected.into(),
                found: shape[..].into(),
                made_for: self.made_for(),
                image_width: self.shapes().iter().find(|(n, _)| *n == "image_width").map(|(_, width)| *width),
            }
            .into());
        }
        Ok(Tensor::from_vec(values.clone(), expected, device)?)
    }

    /// The model of the weights: its name if the file records it, else its widths.
    pub fn made_for(&self) -> String {
        if let Some(name) = self.header.get("base_model") {
            return name.to_owned();
        }
        let shapes = self.shapes();
        let shape = |name: &str| shapes.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
        match (shape("image_width"), shape("embed_dim")) {
            (Some(width), Some(space)) => {
                format!("an image tower of width {width} and a shared space of {space}")
            }
            _ => "an unknown model".to_owned(),
        }
    }

    /// The method.
    pub fn method(&self) -> &'static Method {
        self.method
    }

    /// The file, or the last of several files.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The header of the file.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Mutable access to the header, to describe weights before they are written.
    pub fn header_mut(&mut self) -> &mut Header {
        &mut self.header
    }

    /// Names and shapes of all tensors.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.tensors.iter().map(|(name, v)| (name.as_str(), &v.shape[..]))
    }

    /// The content of the file, in words.
    pub fn holds(&self) -> String {
        let parts = self.format().parts.iter().filter(|p| !p.about.is_empty());
        let counted = parts.map(|p| (self.count(p.prefix, p.ending), p.about)).filter(|(n, _)| *n > 0);
        counted.map(|(n, about)| format!("{n} {about}")).collect::<Vec<_>>().join(", ")
    }

    /// Widths and depths of the tensors, stored in this program's files for readers of the header alone.
    pub fn shapes(&self) -> Vec<(&'static str, usize)> {
        (self.format().shapes)(self)
    }

    /// A hash of all tensors: equal for the same weights in any file format.
    pub fn digest(&self) -> String {
        self.digest_of("")
    }

    /// A hash of the tensors whose names begin with `prefix`.
    pub fn digest_of(&self, prefix: &str) -> String {
        let mut hash = Sha256::new();
        for (name, v) in self.tensors.iter().filter(|(n, _)| n.starts_with(prefix)) {
            hash.update(name.as_bytes());
            v.values.iter().for_each(|x| hash.update(x.to_le_bytes()));
        }
        crate::files::hex(&hash.finalize())
    }

    /// Writes the weights in this program's form, atomically: safetensors with the official names and a
    /// header.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), crate::Error> {
        let failed = |source| crate::Error::io("write", path, source);
        let official = self.format().official;
        let bytes: Vec<(String, &Values, Vec<u8>)> = self
            .tensors
            .iter()
            .map(|(name, v)| (official(name), v, v.values.iter().flat_map(|x| x.to_le_bytes()).collect()))
            .collect();
        let views = bytes
            .iter()
            .map(|(name, v, data)| Ok((name.as_str(), TensorView::new(Dtype::F32, v.shape.clone(), data)?)))
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(|e| failed(std::io::Error::other(e)))?;
        let mut header = self.header.clone();
        header.set_default("method", self.method.name);
        for (name, value) in self.shapes() {
            header.set_default(name, &value.to_string());
        }
        let data = safetensors::serialize(views, Some(header.to_metadata()))
            .map_err(|e| failed(std::io::Error::other(e)))?;
        crate::files::write_atomic(path, &data).map_err(failed)
    }
}

static NOTHING: TrainedFormat = TrainedFormat {
    about: "nothing",
    files: |_| None,
    canonical: |_| None,
    official: str::to_owned,
    parts: &[],
    check: |_| Ok(()),
    shapes: |_| Vec::new(),
    options: &[],
};

/// The file of a training run with the weights after the last finished epoch.
pub(super) const LATEST: &str = "adapters.safetensors";

/// The file of a training run with the state of the optimiser.
pub(super) const STATE: &str = "state.safetensors";

/// The files for a path: in the layout of a method, else the file itself, the result of a training run's folder, or
/// the only file of another folder.
fn files(path: &Path) -> Result<Vec<PathBuf>, String> {
    let arranged = METHODS.iter().filter_map(|m| m.trained).find_map(|format| (format.files)(path));
    if let Some(files) = arranged {
        return Ok(files);
    }
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let latest = path.join(LATEST);
    if latest.is_file() {
        return Ok(vec![latest]);
    }
    if path.join(STATE).is_file() {
        return Err(format!("a training run that has not finished an epoch, without {LATEST}"));
    }
    let entries = std::fs::read_dir(path).map_err(|e| e.to_string())?;
    let mut all: Vec<PathBuf> =
        entries.filter_map(|e| e.ok().map(|e| e.path())).filter(|p| p.is_file()).collect();
    all.sort();
    for ending in ["safetensors", "pth", "pt"] {
        let mut matching = all.iter().filter(|p| p.extension().is_some_and(|e| e == ending));
        match (matching.next(), matching.next()) {
            (Some(only), None) => return Ok(vec![only.clone()]),
            (Some(one), Some(other)) => {
                let name = |p: &Path| p.file_name().unwrap_or_default().to_string_lossy().into_owned();
                return Err(format!("several files ({} and {}): name one", name(one), name(other)));
            }
            _ => {}
        }
    }
    Err("no .safetensors or .pth file".to_owned())
}

/// The content of a file without weights of any method.
fn others(stores: &[Box<dyn TensorStore>]) -> String {
    let names: Vec<&str> = stores.iter().flat_map(|s| s.names()).collect();
    let optimiser = names.iter().all(|n| n.contains("optimizer") || n.contains("exp_avg"));
    match names.first() {
        None => "nothing".to_owned(),
        Some(_) if optimiser => "only an optimiser's state".to_owned(),
        Some(first) => format!("{} other tensors, the first is `{first}`", names.len()),
    }
}

/// A number in plain decimal form, as in official names.
pub(crate) fn index(text: &str) -> Option<usize> {
    text.parse().ok().filter(|n: &usize| n.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &Path) -> Result<Vec<String>, String> {
        Ok(files(path)?.iter().map(|p| p.file_name().unwrap().to_str().unwrap().to_owned()).collect())
    }

    #[test]
    fn a_folder_without_an_arrangement_has_one_file() {
        let dir = tempfile::tempdir().unwrap();
        assert!(names(dir.path()).is_err());
        std::fs::write(dir.path().join("epoch_3.pth"), b"x").unwrap();
        assert_eq!(names(dir.path()).unwrap(), ["epoch_3.pth"]);
        std::fs::write(dir.path().join("epoch_4.pth"), b"x").unwrap();
        assert!(names(dir.path()).unwrap_err().contains("name one"));
        std::fs::write(dir.path().join("mine.safetensors"), b"x").unwrap();
        assert_eq!(names(dir.path()).unwrap(), ["mine.safetensors"]);
    }

    #[test]
    fn the_folder_of_a_training_run_has_its_latest_weights() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str| std::fs::write(dir.path().join(name), b"x").unwrap();
        ["state.safetensors", "text.safetensors", "train.jsonl"].into_iter().for_each(put);
        assert!(names(dir.path()).unwrap_err().contains("not finished an epoch"));
        ["epoch-1.safetensors", "epoch-2.safetensors", "adapters.safetensors"].into_iter().for_each(put);
        assert_eq!(names(dir.path()).unwrap(), ["adapters.safetensors"]);
        let one = names(&dir.path().join("epoch-1.safetensors"));
        assert_eq!(one.unwrap(), ["epoch-1.safetensors"]);
    }
}
