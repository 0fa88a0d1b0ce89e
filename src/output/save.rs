//! The files of one picture.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use ::image::{DynamicImage, RgbImage, codecs::jpeg::JpegEncoder};
use ndarray::Array2;
use png::{BitDepth, ColorType, EncodingError};

use super::paint::ColourScale;
use super::strips::Strips;
use super::{Ends, Size};
use crate::guard::guarded;
use crate::image::{Picture, is_picture_name};
use crate::map::GreyMap;
use crate::{Error, Result, files};

/// A kind of file that a run can write for each picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Artefact {
    /// The coloured map, at the picture's size.
    Heatmap,
    /// The picture with the hot part of the map painted over it.
    Overlay,
    /// Black and white, at the picture's size.
    Mask,
    /// The probabilities in grey, in the picture's proportion and at about the model's resolution: the highest of
    /// the picture is white, the lowest black. Colours and regions can be made from it again.
    Map,
    /// The method's map after smoothing, at the model's resolution: `.npy`, float32, `[S, S]`; with tiles
    /// `[Hm, Wm]`.
    Raw,
}

impl Artefact {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Heatmap, Self::Overlay, Self::Mask, Self::Map, Self::Raw];

    /// The name on the command line and in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Heatmap => "heatmap",
            Self::Overlay => "overlay",
            Self::Mask => "mask",
            Self::Map => "map",
            Self::Raw => "raw",
        }
    }

    /// Whether it has colours or a threshold: made from the probabilities, and made again for others.
    pub fn is_painted(self) -> bool {
        matches!(self, Self::Heatmap | Self::Overlay | Self::Mask)
    }

    fn ending(self) -> &'static str {
        match self {
            Self::Heatmap => "heatmap.png",
            Self::Overlay => "overlay.png",
            Self::Mask => "mask.png",
            Self::Map => "map.png",
            Self::Raw => "npy",
        }
    }
}

/// Whether this program uses such a name for images it writes: `a.png.heatmap.png`.
pub fn is_artefact_name(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    Artefact::ALL.iter().any(|artefact| {
        let stem = name.strip_suffix(artefact.ending().as_bytes()).and_then(|s| s.strip_suffix(b"."));
        stem.and_then(|s| std::str::from_utf8(s.rsplit(|b| *b == b'.').next()?).ok())
            .is_some_and(|ending| is_picture_name(&Path::new("a").with_extension(ending)))
    })
}

/// The folder and the common part of the names of one picture's files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArtefactNames {
    /// Path of every file up to the dot before its ending: the picture's name including its ending.
    pub stem: PathBuf,
}

/// Most bytes that the name of a file adds to its stem: those of `.heatmap.png`.
const LONGEST_ENDING: usize = 12;

impl ArtefactNames {
    /// The file of one kind: `STEM.heatmap.png`, `STEM.overlay.png`, `STEM.mask.png`, `STEM.map.png`, `STEM.npy`. A name
    /// too long for a file system has a shortened stem, the same for all kinds ([`files::short_name`]).
    pub fn path(&self, artefact: Artefact) -> PathBuf {
        let mut name = files::short_name(self.stem.file_name().unwrap_or_default(), LONGEST_ENDING);
        name.push(".");
        name.push(artefact.ending());
        self.stem.with_file_name(name)
    }
}

/// The data for the files of one picture.
pub struct Pictures<'a> {
    /// The picture itself.
    pub picture: &'a Picture,
    /// The probabilities in 256 steps.
    pub grey: &'a GreyMap,
    /// The map at the model's resolution, `[S, S]`; with tiles `[Hm, Wm]`.
    pub raw: &'a Array2<f32>,
    /// The colour scale.
    pub scale: ColourScale,
    /// Lowest value of the white pixels in the mask and of outlined regions in the overlay.
    pub threshold: f32,
}

/// Writes the wanted files, each atomically, and returns their paths.
///
/// # Errors
/// A file cannot be written.
pub fn save(
    wanted: &[Artefact],
    names: &ArtefactNames,
    pictures: &Pictures<'_>,
) -> Result<BTreeMap<String, String>> {
    let mut written = BTreeMap::new();
    for &artefact in wanted {
        let path = names.path(artefact);
        files::write_atomic_again(&path, |file| write(artefact, pictures, file))
            .map_err(|e| Error::io("write", &path, e))?;
        written.insert(artefact.name().to_owned(), path.to_string_lossy().into_owned());
    }
    Ok(written)
}

/// The content of one file.
///
/// # Errors
/// The encoder fails.
pub fn encode(artefact: Artefact, p: &Pictures<'_>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    write(artefact, p, &mut bytes)?;
    Ok(bytes)
}

fn write(artefact: Artefact, p: &Pictures<'_>, out: &mut impl Write) -> std::io::Result<()> {
    let size = (p.picture.width(), p.picture.height());
    let strips = Strips::new(p.grey, size, p.scale, p.threshold);
    match artefact {
        Artefact::Heatmap => heatmap_file(strips, out),
        Artefact::Overlay => overlay_file(strips, p.picture, out),
        Artefact::Mask => mask_file(strips, out),
        Artefact::Map => {
            let (height, width) = p.grey.steps.dim();
            let steps = p.grey.steps.as_standard_layout();
            png(out, (width, height), ColorType::Grayscale, [steps.as_slice().unwrap_or_default()])
        }
        Artefact::Raw => out.write_all(&npy(p.raw)),
    }
}

pub(super) fn heatmap_file(strips: Strips<'_>, out: &mut impl Write) -> std::io::Result<()> {
    png(out, strips.size, ColorType::Rgb, strips.heatmap())
}

pub(super) fn overlay_file(
    strips: Strips<'_>,
    picture: &Picture,
    out: &mut impl Write,
) -> std::io::Result<()> {
    png(out, strips.size, ColorType::Rgb, strips.overlay(picture))
}

pub(super) fn mask_file(strips: Strips<'_>, out: &mut impl Write) -> std::io::Result<()> {
    png(out, strips.size, ColorType::Grayscale, strips.mask())
}

/// Reads a file of [`Artefact::Map`] of a picture of this size, with the probabilities of black and white. `None`
/// if it cannot be read or is not the map of such a picture.
pub(super) fn read_map(path: &Path, ends: Ends, size: Size) -> Option<GreyMap> {
    let image = ::image::ImageReader::open(path).ok()?.with_guessed_format().ok()?;
    let DynamicImage::ImageLuma8(image) = guarded(|| image.decode().ok())?? else { return None };
    let (width, height) = (image.width() as usize, image.height() as usize);
    if GreyMap::sides(size.width, size.height, width.max(height)) != (height, width) {
        return None;
    }
    let steps = Array2::from_shape_vec((height, width), image.into_raw()).ok()?;
    Some(GreyMap { low: ends.min, high: ends.max, steps })
}

/// NumPy's format, version 1.0: a Python dictionary as header, then the values of all rows, little-endian.
fn npy(map: &Array2<f32>) -> Vec<u8> {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {:?}}}", map.dim());
    // Magic, version and length take 10 bytes; the header's final line break ends at a multiple of 64.
    header += &" ".repeat(63 - (10 + header.len()) % 64);
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(map.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

/// Bytes of a part of a PNG.
const PART: usize = 1 << 16;

/// Writes a PNG from some of its rows after another.
fn png(
    out: &mut impl Write,
    (width, height): (usize, usize),
    colour: ColorType,
    rows: impl IntoIterator<Item = impl AsRef<[u8]>>,
) -> std::io::Result<()> {
    let failed = |e| match e {
        EncodingError::IoError(e) => e,
        other => std::io::Error::other(other),
    };
    let mut encoder = png::Encoder::new(out, width as u32, height as u32);
    encoder.set_color(colour);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    encoder.set_filter(png::Filter::Adaptive);
    let mut writer = encoder.write_header().map_err(failed)?;
    let mut stream = writer.stream_writer_with_size(PART).map_err(failed)?;
    rows.into_iter().try_for_each(|rows| stream.write_all(rows.as_ref()))?;
    stream.finish().map_err(failed)
}

/// A picture with a longest side of at most `longest` pixels.
pub fn shrunk(picture: &RgbImage, longest: u32) -> Cow<'_, RgbImage> {
    let side = picture.width().max(picture.height()).max(1);
    let scaled = |v: u32| (u64::from(v) * u64::from(longest) / u64::from(side)).max(1) as u32;
    if side <= longest {
        return Cow::Borrowed(picture);
    }
    Cow::Owned(::image::imageops::thumbnail(picture, scaled(picture.width()), scaled(picture.height())))
}

/// A picture as a JPEG with a longest side of at most `longest` pixels, and its width and height.
///
/// # Errors
/// The encoder fails.
pub fn thumbnail(picture: &RgbImage, longest: u32, quality: u8) -> std::io::Result<(Vec<u8>, u32, u32)> {
    let small = shrunk(picture, longest);
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, quality);
    small.write_with_encoder(encoder).map_err(std::io::Error::other)?;
    Ok((bytes, small.width(), small.height()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::PixelMode;

    #[test]
    fn names_keep_dots_of_the_stem() {
        let names = ArtefactNames { stem: "out/part.01".into() };
        assert_eq!(names.path(Artefact::Raw), Path::new("out/part.01.npy"));
        assert_eq!(names.path(Artefact::Overlay), Path::new("out/part.01.overlay.png"));
        let longest = Artefact::ALL.iter().map(|a| a.ending().len() + 1).max();
        assert_eq!(longest, Some(LONGEST_ENDING));
    }

    #[test]
    fn every_kind_is_written_at_its_size() {
        let dir = tempfile::tempdir().unwrap();
        let picture = Picture::new(5, 3, PixelMode::Rgb, vec![0; 45]).unwrap();
        let map = Array2::from_elem((3, 5), 0.8);
        let raw = Array2::from_shape_fn((4, 4), |(r, c)| (r * 4 + c) as f32);
        let pictures = Pictures {
            picture: &picture,
            grey: &GreyMap::new(map.view()),
            raw: &raw,
            scale: ColourScale::default(),
            threshold: 0.5,
        };
        let names = ArtefactNames { stem: dir.path().join("a/b") };
        let files = save(&Artefact::ALL, &names, &pictures).unwrap();
        for kind in ["heatmap", "overlay", "mask", "map"] {
            assert_eq!(::image::image_dimensions(&files[kind]).unwrap(), (5, 3), "{kind}");
        }
        let read: Array2<f32> = ndarray_npy::read_npy(&files["raw"]).unwrap();
        assert_eq!(read, raw);
    }

    #[test]
    fn raw_maps_are_as_numpy_writes_them() {
        // Transposed: rows are written first, whatever the layout in memory. Sides of one to five digits.
        for (rows, columns) in [(1, 1), (0, 3), (518, 518), (1, 12_345), (1234, 56)] {
            let map = Array2::from_shape_fn((columns, rows), |(c, r)| r as f32 - 0.5 * c as f32);
            let map = map.reversed_axes();
            let mut expected = Vec::new();
            ndarray_npy::WriteNpyExt::write_npy(&map.as_standard_layout(), &mut expected).unwrap();
            assert_eq!(npy(&map), expected);
        }
    }
}
