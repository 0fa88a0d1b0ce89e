//! Pictures that a method compares with: of good parts, or of the folder itself.

use std::path::PathBuf;

use candle_core::{Device, Tensor};
use sha2::{Digest, Sha256};

use super::batch;
use crate::image::{DecodeOptions, Picture, decode};
use crate::methods::Model;
use crate::{Error, Result, files};

/// Pictures to compare with. Files are read one by one when they are needed, so there may be thousands.
#[derive(Debug, Clone, Default)]
pub struct References {
    pictures: Vec<Source>,
    decoding: DecodeOptions,
}

#[derive(Debug, Clone)]
enum Source {
    Memory(Picture),
    File(PathBuf),
}

impl From<Vec<Picture>> for References {
    fn from(pictures: Vec<Picture>) -> Self {
        let pictures = pictures.into_iter().map(Source::Memory).collect();
        Self { pictures, decoding: DecodeOptions::default() }
    }
}

impl References {
    /// The pictures in files.
    pub fn files(files: Vec<PathBuf>, decoding: DecodeOptions) -> Self {
        Self { pictures: files.into_iter().map(Source::File).collect(), decoding }
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.pictures.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pictures.is_empty()
    }

    /// Tells apart references of other content or in another order.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(super) fn digest(&self) -> Result<String> {
        let mut all = Sha256::new();
        for picture in &self.pictures {
            all.update(match picture {
                Source::Memory(picture) => Sha256::digest(picture.samples()),
                Source::File(path) => {
                    Sha256::digest(std::fs::read(path).map_err(|e| Error::io("read", path, e))?)
                }
            });
        }
        Ok(files::hex(&all.finalize()[..8]))
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
