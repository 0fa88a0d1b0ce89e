//! Pictures that a method compares with: of good parts, or of the folder itself.

use std::path::PathBuf;

use candle_core::{Device, Tensor};
use sha2::{Digest, Sha256};

use super::batch;
use crate::image::{DecodeOptions, Picture, decode};
use crate::methods::{Model, Trust};
use crate::{Error, Result, files};

/// Pictures to compare with. Files are read one by one when they are needed, so there may be thousands.
#[derive(Debug, Clone, Default)]
pub struct References {
    pictures: Vec<Source>,
    decoding: DecodeOptions,
    /// What is known of them.
    pub(super) trust: Trust,
}

#[derive(Debug, Clone)]
enum Source {
    Memory(Picture),
    File(PathBuf),
}

impl From<Vec<Picture>> for References {
    fn from(pictures: Vec<Picture>) -> Self {
        let pictures = pictures.into_iter().map(Source::Memory).collect();
        Self { pictures, ..Self::default() }
    }
}

impl References {
    /// The pictures in files.
    pub fn files(files: Vec<PathBuf>, decoding: DecodeOptions) -> Self {
        Self { pictures: files.into_iter().map(Source::File).collect(), decoding, trust: Trust::Good }
    }

    /// At most `number` of the files of a folder, some of which may show damage: those with the smallest hash of their
    /// name, so that the choice depends on neither the order nor most other files.
    pub fn peers(files: Vec<(String, PathBuf)>, number: usize, decoding: DecodeOptions) -> Self {
        Self::files(Self::drawn(files, number, 0), decoding).mixed()
    }

    /// `number` of some files, drawn by the hash of their names and a seed.
    pub fn drawn(files: Vec<(String, PathBuf)>, number: usize, seed: u64) -> Vec<PathBuf> {
        let key = |name: &str| Sha256::digest(format!("{seed}:{name}").as_bytes());
        let mut keyed: Vec<_> = files.into_iter().map(|(name, path)| (key(&name), path)).collect();
        keyed.sort();
        keyed.truncate(number);
        keyed.into_iter().map(|(_, path)| path).collect()
    }

    /// These pictures and others.
    pub fn and(mut self, others: Self) -> Self {
        self.pictures.extend(others.pictures);
        Self { pictures: self.pictures, ..others }
    }

    /// The same pictures, some of which may show damage.
    pub fn mixed(self) -> Self {
        Self { trust: Trust::Mixed, ..self }
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.pictures.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pictures.is_empty()
    }

    /// Tells apart references of other number, content or order.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(super) fn identity(&self) -> Result<String> {
        let mut all = Sha256::new();
        for picture in &self.pictures {
            all.update(match picture {
                Source::Memory(picture) => Sha256::digest(picture.samples()),
                Source::File(path) => {
                    Sha256::digest(std::fs::read(path).map_err(|e| Error::io("read", path, e))?)
                }
            });
        }
        let trust = match self.trust {
            Trust::Good => "good",
            Trust::Mixed => "mixed",
        };
        Ok(format!("{} {trust} pictures {}", self.len(), files::hex(&all.finalize()[..8])))
    }

    /// The pictures and the model's copies of them ([`Model::copies`]) as inputs of its tower, `[1, 3, H, W]`.
    pub(super) fn inputs<'a>(
        &'a self,
        model: &'a dyn Model,
        device: &'a Device,
    ) -> impl Iterator<Item = Result<Tensor>> + 'a {
        let input = move |picture: &Picture| batch(model.preprocess().run(picture)?.tensor, device);
        self.pictures.iter().flat_map(move |source| {
            let read = match source {
                Source::Memory(picture) => Ok(picture.clone()),
                Source::File(path) => decode(path, &self.decoding).map_err(Error::from),
            };
            match read {
                Err(e) => vec![Err(e)],
                Ok(picture) => {
                    let copies = model.copies(&picture);
                    std::iter::once(&picture).chain(&copies).map(input).collect()
                }
            }
        })
    }
}
