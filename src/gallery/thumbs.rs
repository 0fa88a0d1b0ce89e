//! Small copies of the pictures, in a folder beside the page.
//!
//! A thumbnail's name is a digest of its picture's name, size and modification time: an existing thumbnail is
//! up to date, no index is needed, and no record can cause a file outside the folder.

use std::collections::HashSet;
use std::fs::Metadata;
use std::path::{Component, Path, PathBuf};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::results::ShownPicture;
use crate::files::Stamp;
use crate::image::{DecodeOptions, decode};
use crate::output::thumbnail;
use crate::progress::Progress;
use crate::{Error, Result, files};

const QUALITY: u8 = 82;

/// Bytes of a digest used for a name: 16 characters.
const DIGEST_BYTES: usize = 12;

/// The thumbnails of one picture: names without folder and ending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Thumbs {
    /// Of the picture itself.
    pub picture: Option<String>,
    /// Of its overlay, or of its heatmap if the run saved no overlay.
    pub heat: Option<String>,
    /// Thumbnails that had to be made.
    pub made: usize,
    /// Whether the picture's file exists.
    pub has_file: bool,
}

/// The content of a thumbnail: the first letter of its name.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Picture,
    Heat,
}

/// The folder of thumbnails.
pub(super) struct ThumbFolder<'a> {
    folder: &'a Path,
    present: HashSet<String>,
    side: u32,
    decoding: &'a DecodeOptions,
}

impl<'a> ThumbFolder<'a> {
    /// Reads the names in `folder`, if it exists.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub(super) fn open(folder: &'a Path, side: u32, decoding: &'a DecodeOptions) -> Result<Self> {
        let io = |e| Error::io("read", folder, e);
        let mut present = HashSet::new();
        match std::fs::read_dir(folder) {
            Ok(entries) => {
                for entry in entries {
                    let name = entry.map_err(io)?.file_name();
                    present.extend(name.to_str().and_then(own_name).map(str::to_owned));
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(io(e)),
        }
        Ok(Self { folder, present, side, decoding })
    }

    /// Makes missing thumbnails in parallel; each thread has one decoded picture in memory. The result is in
    /// the order of `pictures`, whose files are in `run`.
    ///
    /// # Errors
    /// A thumbnail cannot be written. Unreadable pictures have no thumbnail.
    pub(super) fn make(
        &self,
        pictures: &[&ShownPicture],
        run: &Path,
        progress: Progress,
    ) -> Result<Vec<Thumbs>> {
        let bar = progress.items(pictures.len() as u64, "thumbnails");
        let one = |picture: &&ShownPicture| {
            let thumbs = self.of(picture, run);
            bar.inc(1);
            thumbs
        };
        let all = pictures.par_iter().with_max_len(1).map(one).collect();
        bar.finish_and_clear();
        all
    }

    /// Deletes thumbnails that are not in `used`; other files in the folder stay.
    pub(super) fn prune(&self, used: &[Thumbs]) {
        let used: HashSet<&str> =
            used.iter().flat_map(|t| [&t.picture, &t.heat]).flatten().map(String::as_str).collect();
        for old in self.present.iter().filter(|name| !used.contains(name.as_str())) {
            // A failure only wastes space.
            let _ = std::fs::remove_file(self.path(old));
        }
    }

    fn of(&self, picture: &ShownPicture, run: &Path) -> Result<Thumbs> {
        let mut thumbs = Thumbs::default();
        let found = picture.file.metadata().ok().filter(Metadata::is_file);
        thumbs.has_file = found.is_some();
        // A picture that could not be decoded by the run is not decoded again.
        if picture.record.scored().is_none() {
            return Ok(thumbs);
        }
        if let Some(about) = found {
            thumbs.picture = self.one(Kind::Picture, picture, &picture.file, &about, &mut thumbs.made)?;
        }
        for kind in ["overlay", "heatmap"] {
            let Some(path) = saved_file(picture, kind, run) else { continue };
            let Some(about) = path.metadata().ok().filter(Metadata::is_file) else { continue };
            thumbs.heat = self.one(Kind::Heat, picture, &path, &about, &mut thumbs.made)?;
            if thumbs.heat.is_some() {
                break;
            }
        }
        Ok(thumbs)
    }

    /// The thumbnail of one file, made unless it exists; `None` if the file is not a picture.
    fn one(
        &self,
        kind: Kind,
        picture: &ShownPicture,
        file: &Path,
        about: &Metadata,
        made: &mut usize,
    ) -> Result<Option<String>> {
        let name = self.name(kind, picture, file, about);
        if self.present.contains(&name) {
            return Ok(Some(name));
        }
        let Ok(decoded) = decode(file, self.decoding) else { return Ok(None) };
        let path = self.path(&name);
        let (bytes, ..) =
            thumbnail(&decoded.to_rgb(), self.side, QUALITY).map_err(|e| Error::io("encode", &path, e))?;
        files::write_atomic(&path, &bytes).map_err(|e| Error::io("write", &path, e))?;
        *made += 1;
        Ok(Some(name))
    }

    fn name(&self, kind: Kind, picture: &ShownPicture, file: &Path, about: &Metadata) -> String {
        let Stamp { bytes, modified } = Stamp::of(about);
        let mut digest = Sha256::new();
        for part in [picture.key(), file.file_name().unwrap_or_default().as_encoded_bytes()] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        digest.update(bytes.to_le_bytes());
        digest.update(modified.unwrap_or_default().to_le_bytes());
        digest.update(self.side.to_le_bytes());
        digest.update([QUALITY]);
        let letter = match kind {
            Kind::Picture => 'p',
            Kind::Heat => 'h',
        };
        let digest = digest.finalize();
        format!("{letter}{}", URL_SAFE_NO_PAD.encode(&digest[..DIGEST_BYTES]))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.jpg"))
    }
}

/// The name of a file written by this program in the folder, without its ending.
fn own_name(file: &str) -> Option<&str> {
    let name = file.strip_suffix(".jpg")?;
    let digest = name.strip_prefix(['p', 'h'])?;
    let plain = digest.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    (plain && digest.len() == DIGEST_BYTES / 3 * 4).then_some(name)
}

/// The file that the run saved for a picture; `None` if the record names a file outside the run's folder.
pub(super) fn saved_file(picture: &ShownPicture, kind: &str, run: &Path) -> Option<PathBuf> {
    let relative = picture.recorded_path(picture.record.scored()?.files.get(kind)?);
    let inside = |part: Component| matches!(part, Component::Normal(_) | Component::CurDir);
    relative.components().all(inside).then(|| run.join(&relative))
}
