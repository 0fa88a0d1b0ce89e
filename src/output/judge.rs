//! The verdict, the regions and the colours of a result. They follow from its score and its map, so other
//! thresholds and other colours need no model: only what is stored of the result.

use std::fs::File;
use std::path::Path;

use super::save::{heatmap_file, mask_file, overlay_file, read_map};
use super::strips::Strips;
use super::{Artefact, ArtefactNames, ColourScale, Outcome, Record};
use crate::guard::caught;
use crate::image::{DecodeOptions, Picture, decode};
use crate::map::{GreyMap, MapRange};
use crate::{Error, Result, files};

/// The settings of verdicts, regions and colours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judge {
    /// Lowest score of an anomalous picture.
    pub threshold: Option<f32>,
    /// Lowest value of a region's pixels.
    pub region_threshold: f32,
    /// The levels of good parts and of clear damage.
    pub range: MapRange,
    /// Whether colours are stretched over each picture instead, see [`ColourScale::Picture`].
    pub stretch: bool,
}

/// The part of a stored result that must be made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stale {
    /// None.
    Nothing,
    /// The fields of the verdict, by [`Judge::judge`].
    Verdict,
    /// The regions and these files, by [`Judge::repaint`].
    Painted(Vec<Artefact>),
    /// A file of the method itself is missing, or no map is stored: the picture must be scored.
    Score,
}

/// What pictures and regions are made from.
pub struct StoredMap {
    grey: GreyMap,
    /// The size of the picture.
    size: (usize, usize),
    /// The picture, if it is needed.
    picture: Option<Picture>,
}

impl Judge {
    /// The settings that a record was made with.
    pub fn of(record: &Record) -> Self {
        Self {
            threshold: record.threshold,
            region_threshold: record.region_threshold,
            range: record.map_range,
            stretch: record.stretched,
        }
    }

    /// The colour scale of maps.
    pub fn scale(&self) -> ColourScale {
        if self.stretch { ColourScale::Picture } else { ColourScale::Range(self.range) }
    }

    /// Whether a score is anomalous; `None` without a threshold.
    pub fn verdict(&self, score: f32) -> Option<bool> {
        self.threshold.map(|threshold| score >= threshold)
    }

    /// What of a result must be made again to equal one of these settings with the files `wanted`.
    pub fn stale(&self, record: &Record, wanted: &[Artefact], names: &ArtefactNames) -> Stale {
        let Some(scored) = record.scored() else { return Stale::Score };
        let there = Self::of(record);
        let recoloured = self.scale() != there.scale();
        let redrawn = self.region_threshold != there.region_threshold;
        let exists = |kind: Artefact| scored.files.contains_key(kind.name()) && names.path(kind).is_file();
        let is_old = |kind: Artefact| match kind {
            Artefact::Heatmap => recoloured,
            Artefact::Overlay => recoloured || redrawn,
            Artefact::Mask => redrawn,
            Artefact::Map | Artefact::Raw => false,
        };
        let again: Vec<Artefact> =
            wanted.iter().copied().filter(|&kind| is_old(kind) || !exists(kind)).collect();
        match () {
            () if again.is_empty() && !redrawn && *self == there => Stale::Nothing,
            () if again.is_empty() && !redrawn => Stale::Verdict,
            () if again.iter().all(|kind| kind.is_painted()) && exists(Artefact::Map) => {
                Stale::Painted(again)
            }
            () => Stale::Score,
        }
    }

    /// Gives a record these settings and their verdict. Its regions and files stay as they are.
    pub fn judge(&self, record: &mut Record) {
        record.threshold = self.threshold;
        record.region_threshold = self.region_threshold;
        record.map_range = self.range;
        record.stretched = self.stretch;
        if let Outcome::Scored(scored) = &mut record.outcome {
            scored.anomalous = self.verdict(scored.score);
        }
    }

    /// As [`Judge::judge`], with new regions, and writes the files `again`, each atomically.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn repaint(
        &self,
        record: &mut Record,
        stored: &StoredMap,
        again: &[Artefact],
        names: &ArtefactNames,
    ) -> Result<()> {
        self.judge(record);
        let StoredMap { grey, size, picture } = stored;
        let strips = Strips::new(grey, *size, self.scale(), self.region_threshold);
        let Outcome::Scored(scored) = &mut record.outcome else { return Ok(()) };
        scored.regions = grey.regions(size.0, size.1, self.region_threshold);
        // The others are not made from the map.
        let shown = |kind: &Artefact| kind.is_painted() && (*kind != Artefact::Overlay || picture.is_some());
        for &kind in again.iter().filter(|kind| shown(kind)) {
            let write = |file: &mut File| match (kind, picture) {
                (Artefact::Heatmap, _) => heatmap_file(strips, file),
                (Artefact::Overlay, Some(picture)) => overlay_file(strips, picture, file),
                _ => mask_file(strips, file),
            };
            let path = names.path(kind);
            files::write_atomic_again(&path, write).map_err(|e| Error::io("write", &path, e))?;
            scored.files.insert(kind.name().to_owned(), path.to_string_lossy().into_owned());
        }
        Ok(())
    }
}

impl StoredMap {
    /// Reads the stored map of a record, and the picture if one of the files `again` shows it. `None`: a file is
    /// missing, damaged or of another picture, so that the picture must be scored.
    pub fn read(
        record: &Record,
        again: &[Artefact],
        names: &ArtefactNames,
        picture: &Path,
        decoding: &DecodeOptions,
    ) -> Option<Self> {
        let scored = record.scored()?;
        let (width, height) = (scored.size.width, scored.size.height);
        let grey = read_map(&names.path(Artefact::Map), scored.map_probability?, scored.size)?;
        let picture = if again.contains(&Artefact::Overlay) {
            let picture = caught(|| decode(picture, decoding).ok())??;
            if (picture.width(), picture.height()) != (width, height) {
                return None;
            }
            Some(picture)
        } else {
            None
        };
        Some(Self { grey, size: (width, height), picture })
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::{failed, record};
    use super::super::{Ends, Pictures, Size, save};
    use super::*;
    use crate::map::regions;
    use ::image::RgbImage;
    use ndarray::Array2;

    const PAINTED: [Artefact; 3] = [Artefact::Heatmap, Artefact::Overlay, Artefact::Mask];

    fn wanted() -> Vec<Artefact> {
        [&PAINTED[..], &[Artefact::Map]].concat()
    }

    /// A record with its files, and the picture.
    fn stored(folder: &Path, judge: Judge) -> (Record, ArtefactNames, std::path::PathBuf) {
        let path = folder.join("a.png");
        let picture = RgbImage::from_fn(40, 30, |x, y| ::image::Rgb([x as u8 * 5, y as u8 * 7, 90]));
        picture.save(&path).unwrap();
        let values =
            Array2::from_shape_fn((15, 20), |(y, x)| 0.3 + (y as f32 * 1.7 + x as f32).sin().abs() / 2.0);
        let grey = GreyMap::new(values.view());
        let map = grey.at_size(40, 30);
        let names = ArtefactNames { stem: folder.join("out/a.png") };
        let pictures = Pictures {
            picture: &decode(&path, &DecodeOptions::default()).unwrap(),
            grey: &grey,
            raw: &values,
            scale: judge.scale(),
            threshold: judge.region_threshold,
        };
        let mut made = record("a.png");
        judge.judge(&mut made);
        let Outcome::Scored(scored) = &mut made.outcome else { unreachable!() };
        scored.files = save(&wanted(), &names, &pictures).unwrap();
        scored.size = Size { width: 40, height: 30 };
        scored.map_probability = Some(Ends { min: grey.low, max: grey.high });
        scored.regions = regions(map.view(), judge.region_threshold);
        (made, names, path)
    }

    fn first() -> Judge {
        let range = MapRange::new(0.5, 0.8).unwrap();
        Judge { threshold: None, region_threshold: 0.6, range, stretch: false }
    }

    #[test]
    fn only_what_differs_is_stale() {
        let dir = tempfile::tempdir().unwrap();
        let (record, names, _) = stored(dir.path(), first());
        let stale = |judge: Judge| judge.stale(&record, &wanted(), &names);
        assert_eq!(stale(first()), Stale::Nothing);
        assert_eq!(stale(Judge { threshold: Some(0.2), ..first() }), Stale::Verdict);
        let lower = Judge { region_threshold: 0.55, ..first() };
        assert_eq!(stale(lower), Stale::Painted(vec![Artefact::Overlay, Artefact::Mask]));
        let colours = Stale::Painted(vec![Artefact::Heatmap, Artefact::Overlay]);
        let range = MapRange::new(0.5, 0.7).unwrap();
        assert_eq!(stale(Judge { range, ..first() }), colours);
        assert_eq!(stale(Judge { stretch: true, ..first() }), colours);
        assert_eq!(first().stale(&failed("a.png"), &wanted(), &names), Stale::Score);
        // A missing file; one that cannot be made from the map; the map itself.
        std::fs::remove_file(names.path(Artefact::Mask)).unwrap();
        assert_eq!(stale(first()), Stale::Painted(vec![Artefact::Mask]));
        assert_eq!(first().stale(&record, &[Artefact::Raw], &names), Stale::Score);
        std::fs::remove_file(names.path(Artefact::Map)).unwrap();
        assert_eq!(stale(lower), Stale::Score);
    }

    #[test]
    fn repainted_is_as_painted() {
        let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (mut again, names, path) = stored(old.path(), first());
        let range = MapRange::new(0.4, 0.7).unwrap();
        let other = Judge { threshold: Some(0.1), region_threshold: 0.45, range, stretch: false };
        let (fresh, fresh_names, _) = stored(new.path(), other);
        // As read from the journal.
        again = Record::parse(&serde_json::to_vec(&again).unwrap()).unwrap();
        let map = StoredMap::read(&again, &PAINTED, &names, &path, &DecodeOptions::default()).unwrap();
        other.repaint(&mut again, &map, &PAINTED, &names).unwrap();
        assert_eq!(other.stale(&again, &wanted(), &names), Stale::Nothing);
        let (again, fresh) = (again.scored().unwrap(), fresh.scored().unwrap());
        assert_eq!((&again.regions, again.anomalous), (&fresh.regions, Some(true)));
        for kind in wanted() {
            let read = |names: &ArtefactNames| std::fs::read(names.path(kind)).unwrap();
            assert_eq!(read(&names), read(&fresh_names), "{}", kind.name());
        }
    }

    #[test]
    fn what_cannot_be_used_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (record, names, path) = stored(dir.path(), first());
        let read =
            |record: &Record| StoredMap::read(record, &PAINTED, &names, &path, &DecodeOptions::default());
        assert!(read(&record).is_some());
        let mut older = record.clone();
        let Outcome::Scored(scored) = &mut older.outcome else { unreachable!() };
        scored.map_probability = None;
        assert!(read(&older).is_none());
        RgbImage::new(41, 30).save(&path).unwrap();
        assert!(read(&record).is_none());
        std::fs::write(names.path(Artefact::Map), b"no picture").unwrap();
        assert!(read(&record).is_none());
    }
}
