//! Small copies of the pictures, in a folder beside the page.
//!
//! A thumbnail's name is a digest of its picture's name, of size and modification time of its sources, of its regions and
//! its colour scale: an existing thumbnail is up to date, no index is needed, and no record can cause a file outside
//! the folder.

use std::cell::LazyCell;
use std::collections::HashSet;
use std::fs::Metadata;
use std::path::{Component, Path, PathBuf};

use ::image::RgbImage;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ndarray::{Array2, s};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::part::Part;
use super::results::ShownPicture;
use crate::files::Stamp;
use crate::image::{DecodeOptions, decode};
use crate::map::{GreyMap, MapRange, Region};
use crate::output::{ColourScale, Ends, heatmap, outline_regions, overlay, shrunk, thumbnail};
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
    /// Of its map over it; without a grey map, of its overlay or its heatmap.
    pub heat: Option<String>,
    /// Thumbnails that had to be made.
    pub made: usize,
    /// Whether the picture's file exists.
    pub has_file: bool,
}

/// The content of a thumbnail is the first letter of its name.
const PICTURE: char = 'p';
/// The part of a picture that differs from its background. The page's script knows this letter.
const PART: char = 'c';
/// A map, of the same part of the picture as the thumbnail beside it.
const HEAT: char = 'h';

/// A picture at the size of a thumbnail.
#[derive(Clone)]
struct Small {
    pixels: RgbImage,
    part: Option<Part>,
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
        let Some(scored) = picture.record.scored() else { return Ok(thumbs) };
        let own = found.as_ref().map(|about| (picture.file.as_path(), about));
        let saved = |kind| {
            let path = saved_file(picture, kind, run)?;
            let about = path.metadata().ok().filter(Metadata::is_file)?;
            Some((path, about))
        };
        let map = saved("map").zip(scored.map_probability);
        let has_map = map.is_some();
        let small = LazyCell::new(|| {
            let whole = decode(own?.0, self.decoding).ok()?.to_rgb();
            // The other files of a run are painted over the whole picture.
            let size = (scored.size.width, scored.size.height);
            let found = || Part::of(&shrunk(&whole, self.side), &scored.regions, size);
            let part = if has_map { found() } else { None };
            Some(Small::new(&whole, part, self.side))
        });
        if let Some(own) = own {
            let digest = digest(self.side, picture, &[own], &scored.regions, &[]);
            let names = [PICTURE, PART].map(|letter| format!("{letter}{digest}"));
            thumbs.picture = match names.iter().find(|name| self.present.contains(*name)) {
                Some(name) => Some(name.clone()),
                None => {
                    let [whole, part] = names;
                    let cropped = small.as_ref().is_some_and(|small| small.part.is_some());
                    let name = if cropped { part } else { whole };
                    self.one(name, &mut thumbs.made, || small.as_ref().map(|s| s.pixels.clone()))?
                }
            };
        }
        if let Some(((path, about), ends)) = map {
            let map = GreyThumb {
                file: &path,
                ends,
                range: picture.record.map_range,
                threshold: picture.record.region_threshold,
            };
            let sources: Vec<_> = [Some((path.as_path(), &about)), own].into_iter().flatten().collect();
            let digest = digest(self.side, picture, &sources, &scored.regions, &map.numbers());
            let name = format!("{HEAT}{digest}");
            thumbs.heat =
                self.one(name, &mut thumbs.made, || map.painted((*small).as_ref(), self.decoding))?;
        }
        for kind in ["overlay", "heatmap"] {
            if thumbs.heat.is_some() {
                break;
            }
            let Some((path, about)) = saved(kind) else { continue };
            let digest = digest(self.side, picture, &[(&path, &about)], &[], &[]);
            let whole = || Some(decode(&path, self.decoding).ok()?.to_rgb());
            thumbs.heat = self.one(format!("{HEAT}{digest}"), &mut thumbs.made, whole)?;
        }
        Ok(thumbs)
    }

    /// The thumbnail of this name, painted unless it exists; `None` if it cannot be painted.
    fn one(
        &self,
        name: String,
        made: &mut usize,
        paint: impl FnOnce() -> Option<RgbImage>,
    ) -> Result<Option<String>> {
        if self.present.contains(&name) {
            return Ok(Some(name));
        }
        let Some(painted) = paint() else { return Ok(None) };
        let path = self.path(&name);
        let (bytes, ..) =
            thumbnail(&painted, self.side, QUALITY).map_err(|e| Error::io("encode", &path, e))?;
        files::write_atomic(&path, &bytes).map_err(|e| Error::io("write", &path, e))?;
        *made += 1;
        Ok(Some(name))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.jpg"))
    }
}

impl Small {
    fn new(whole: &RgbImage, part: Option<Part>, side: u32) -> Self {
        let Some(part) = part else { return Self { pixels: shrunk(whole, side).into_owned(), part: None } };
        let [x, y, width, height] =
            part.pixels(whole.width() as usize, whole.height() as usize).map(|v| v as u32);
        let cut = ::image::imageops::crop_imm(whole, x, y, width, height).to_image();
        Self { pixels: shrunk(&cut, side).into_owned(), part: Some(part) }
    }
}

/// The digest in the name of a thumbnail made from `sources`, regions and numbers.
fn digest(
    side: u32,
    picture: &ShownPicture,
    sources: &[(&Path, &Metadata)],
    regions: &[Region],
    numbers: &[f32],
) -> String {
    let mut digest = Sha256::new();
    let mut text = |part: &[u8]| {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    };
    text(picture.key());
    for (file, about) in sources {
        let Stamp { bytes, modified } = Stamp::of(about);
        text(file.file_name().unwrap_or_default().as_encoded_bytes());
        text(&bytes.to_le_bytes());
        text(&modified.unwrap_or_default().to_le_bytes());
    }
    for region in regions {
        for number in [region.x, region.y, region.width, region.height] {
            text(&number.to_le_bytes());
        }
    }
    numbers.iter().for_each(|number| text(&number.to_le_bytes()));
    text(&side.to_le_bytes());
    text(&[QUALITY]);
    URL_SAFE_NO_PAD.encode(&digest.finalize()[..DIGEST_BYTES])
}

/// A grey map to be painted with the scale of its record.
struct GreyThumb<'a> {
    file: &'a Path,
    ends: Ends,
    range: MapRange,
    threshold: f32,
}

impl GreyThumb<'_> {
    fn numbers(&self) -> [f32; 5] {
        [self.ends.min, self.ends.max, self.range.good(), self.range.damaged(), self.threshold]
    }

    /// The map over its picture, or alone without one; `None` if the file is not a picture.
    fn painted(&self, below: Option<&Small>, decoding: &DecodeOptions) -> Option<RgbImage> {
        let decoded = decode(self.file, decoding).ok()?.to_rgb();
        let (width, height) = decoded.dimensions();
        let shape = (height as usize, width as usize);
        let steps = Array2::from_shape_vec(shape, decoded.pixels().map(|p| p.0[0]).collect()).ok()?;
        let grey = GreyMap { low: self.ends.min, high: self.ends.max, steps };
        let scale = ColourScale::Range(self.range);
        let Some(Small { pixels, part }) = below else {
            return Some(heatmap(grey.at_size(shape.1, shape.0).view(), scale));
        };
        let size = (pixels.width() as usize, pixels.height() as usize);
        let map = match part {
            None => grey.at_size(size.0, size.1),
            Some(part) => {
                let whole = part.whole(size);
                let [x, y, ..] = part.pixels(whole.0, whole.1);
                let (x, y) = (x.min(whole.0 - size.0), y.min(whole.1 - size.1));
                grey.at_size(whole.0, whole.1).slice_move(s![y..y + size.1, x..x + size.0])
            }
        };
        let mut painted = overlay(pixels, map.view(), scale);
        outline_regions(&mut painted, map.view(), self.threshold);
        Some(painted)
    }
}

/// The name of a file written by this program in the folder, without its ending.
fn own_name(file: &str) -> Option<&str> {
    let name = file.strip_suffix(".jpg")?;
    let digest = name.strip_prefix([PICTURE, PART, HEAT])?;
    let plain = digest.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    (plain && digest.len() == DIGEST_BYTES / 3 * 4).then_some(name)
}

/// The file that the run saved for a picture; `None` if the record names a file outside the run's folder.
pub(super) fn saved_file(picture: &ShownPicture, kind: &str, run: &Path) -> Option<PathBuf> {
    let relative = picture.recorded_path(picture.record.scored()?.files.get(kind)?);
    let inside = |part: Component| matches!(part, Component::Normal(_) | Component::CurDir);
    relative.components().all(inside).then(|| run.join(&relative))
}
