//! The known layouts and how they are recognised.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::listing::{self, Listing};
use super::reading::Reading;
use super::{Dataset, DatasetError, bmad, folders, metadata, mvtec, real_iad, scans, segmentation, visa};
use crate::files::folder_of;

/// The arrangement of a data set's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Layout {
    /// VisA with its official split: `split_csv/1cls.csv` lists the test pictures.
    VisaSplit,
    /// VisA's archive without a split: every picture is read.
    VisaRaw,
    /// MVTec AD 2: the public test part.
    MvtecAd2,
    /// Brain, liver, retina and the other sets of BMAD.
    Bmad,
    /// BTAD: `ok` and `ko`.
    Btad,
    /// MPDD: like MVTec AD, six classes of metal parts.
    Mpdd,
    /// MVTec LOCO AD: one folder of masks per anomalous picture.
    MvtecLoco,
    /// MVTec AD, and data sets with the same layout.
    MvtecAd,
    /// Real-IAD: one `CLASS.json` per class.
    RealIad,
    /// ISIC 2016, part 1: the test pictures.
    Isic,
    /// CVC-ClinicDB, CVC-ColonDB, CVC-300, Kvasir-SEG: every picture is anomalous.
    Segmentation,
    /// HeadCT: one folder of pictures and `labels.csv`.
    HeadCt,
    /// BrainMRI: `yes` and `no`.
    BrainMri,
    /// A folder of good parts, a folder of defective ones, and optionally a folder of masks.
    TwoFolders,
    /// CLIP-AD's `meta.json`.
    MetaJson,
    /// AA-CLIP's JSON lines.
    JsonLines,
}

impl Layout {
    /// All layouts in the order of tests; the first match is used.
    pub const ALL: [Self; 16] = [
        Self::VisaSplit,
        Self::VisaRaw,
        Self::MvtecAd2,
        Self::Bmad,
        Self::MvtecLoco,
        Self::Btad,
        Self::Mpdd,
        Self::MvtecAd,
        Self::RealIad,
        Self::TwoFolders,
        Self::Isic,
        Self::Segmentation,
        Self::HeadCt,
        Self::BrainMri,
        Self::MetaJson,
        Self::JsonLines,
    ];

    /// The name on the command line ("mvtec-ad"), and a description of the expected files.
    fn about(self) -> (&'static str, &'static str) {
        match self {
            Self::VisaSplit => {
                ("visa", "ROOT/split_csv/1cls.csv with the columns object, split, label, image, mask")
            }
            Self::VisaRaw => ("visa-raw", "ROOT/CLASS/Data/Images/{Normal,Anomaly}/ and Data/Masks/Anomaly/"),
            Self::MvtecAd2 => {
                ("mvtec-ad-2", "ROOT/CLASS/test_public/{good,bad}/ and test_public/ground_truth/bad/")
            }
            Self::Bmad => (
                "bmad",
                "ROOT/SET/test/{good,Ungood}/, pictures there or in img/, masks in anomaly_mask/ or label/",
            ),
            Self::MvtecLoco => (
                "mvtec-loco",
                "ROOT/CLASS/test/{good,logical_anomalies,structural_anomalies}/ and ground_truth/KIND/NNN/*.png",
            ),
            Self::RealIad => (
                "real-iad",
                "ROOT/CLASS.json, or a file CLASS.json: {\"meta\": {\"prefix\": ...}, \"test\": [{\"image_path\": ...}]}",
            ),
            Self::Btad => ("btad", "ROOT/CLASS/test/{ok,ko}/ and ground_truth/ko/"),
            Self::Mpdd => {
                ("mpdd", "ROOT/CLASS/test/{good,DEFECT}/ and ground_truth/DEFECT/, CLASS one of MPDD's")
            }
            Self::MvtecAd => {
                ("mvtec-ad", "ROOT/CLASS/test/{good,DEFECT}/ and ground_truth/DEFECT/NNN_mask.png")
            }
            Self::TwoFolders => (
                "folders",
                "ROOT/good/ (or ok, normal) and ROOT/defect/ (or bad, anomaly, ...), perhaps ROOT/masks/",
            ),
            Self::Isic => {
                ("isic", "ROOT/ISBI2016_ISIC_Part1_Test_Data/ and ISBI2016_ISIC_Part1_Test_GroundTruth/")
            }
            Self::Segmentation => {
                ("segmentation", "ROOT/ or ROOT/SET/ with images/ and masks/, or Original/ and Ground Truth/")
            }
            Self::HeadCt => ("head-ct", "ROOT/head_ct/ and ROOT/labels.csv with the columns id, hemorrhage"),
            Self::BrainMri => ("brain-mri", "ROOT/yes/ and ROOT/no/, perhaps in brain_tumor_dataset/"),
            Self::MetaJson => (
                "meta-json",
                "a file meta.json, or a folder with one: {\"test\": {CLASS: [{\"img_path\": ...}]}}",
            ),
            Self::JsonLines => (
                "json-lines",
                "a file *.jsonl, or a folder with exactly one: {\"image_path\": ..., \"label\": 0, \"class_name\": ...}",
            ),
        }
    }

    /// The name on the command line: "mvtec-ad".
    pub fn name(self) -> &'static str {
        self.about().0
    }

    /// A description of the expected files.
    pub fn expects(self) -> &'static str {
        self.about().1
    }

    /// Whether it is a file that lists pictures.
    pub fn is_metadata(self) -> bool {
        matches!(self, Self::MetaJson | Self::JsonLines | Self::RealIad)
    }

    /// The first matching layout of [`Layout::ALL`], by names alone, without opening a picture.
    ///
    /// # Errors
    /// `root` cannot be listed, or no layout matches.
    pub fn find(root: &Path) -> Result<Self, DatasetError> {
        let is_file = listing::is_file(root)?;
        let root_listing = if is_file { Listing::default() } else { Listing::of(root)? };
        if let Some(layout) = Self::ALL.into_iter().find(|l| l.fits(root, is_file, &root_listing)) {
            return Ok(layout);
        }
        let tried = Self::ALL.map(|l| format!("  {:13} {}", l.name(), l.expects())).join("\n");
        Err(DatasetError::UnknownLayout { path: root.to_owned(), hint: hint(&root_listing), tried })
    }

    fn fits(self, root: &Path, is_file: bool, at: &Listing) -> bool {
        match self {
            Self::MvtecLoco => !is_file && mvtec::is_loco(&mvtec::classes(root, at)),
            Self::Btad => !is_file && mvtec::is_btad(&mvtec::classes(root, at)),
            Self::Mpdd => !is_file && mvtec::is_mpdd(&mvtec::classes(root, at)),
            Self::MvtecAd => !is_file && mvtec::is_mvtec(&mvtec::classes(root, at)),
            _ => self.found(root, is_file, at).is_some(),
        }
    }

    /// Finds the parts of the layout at `root` and returns their reader; `None` if the layout does not match.
    fn found(self, root: &Path, is_file: bool, at: &Listing) -> Option<Read> {
        match self {
            Self::MetaJson => read(metadata::meta_json_file(root, is_file, at), metadata::read_meta_json),
            Self::JsonLines => read(metadata::json_lines_file(root, is_file, at), metadata::read_json_lines),
            Self::RealIad => read(some(real_iad::files(root, is_file, at)), real_iad::read),
            _ if is_file => None,
            Self::VisaSplit => read(visa::split_file(root), visa::read_split),
            Self::VisaRaw => read(some(visa::raw_classes(root, at)), visa::read_raw),
            Self::MvtecAd2 => read(some(mvtec::public_classes(root, at)), mvtec::read),
            Self::Bmad => read(some(bmad::sets(root, at)), bmad::read),
            Self::MvtecLoco => read(mvtec::found(root, at), mvtec::read_loco),
            Self::Btad | Self::Mpdd | Self::MvtecAd => read(mvtec::found(root, at), mvtec::read_tested),
            Self::Isic => read(segmentation::isic(root), segmentation::read_isic),
            Self::Segmentation => read(some(segmentation::sets(root, at)), segmentation::read),
            Self::HeadCt => read(scans::head_ct(root), scans::read_head_ct),
            Self::BrainMri => read(scans::brain_mri(root), scans::read_brain_mri),
            Self::TwoFolders => read(folders::found(root, at), folders::read),
        }
    }

    /// Lists the data set at `root`, which exists.
    pub(super) fn read(self, root: &Path) -> Result<Dataset, DatasetError> {
        let is_file = listing::is_file(root)?;
        let at = if is_file { Listing::default() } else { Listing::of(root)? };
        let wrong = || DatasetError::WrongLayout(root.to_owned(), self);
        let read = self.found(root, is_file, &at).ok_or_else(wrong)?;
        let mut reading = Reading::new(if is_file { folder_of(root) } else { root });
        read(&mut reading)?;
        reading.finish(self, root)
    }
}

/// Reads a data set.
type Read = Box<dyn FnOnce(&mut Reading) -> Result<(), DatasetError>>;

fn read<T: 'static>(found: Option<T>, read: fn(T, &mut Reading) -> Result<(), DatasetError>) -> Option<Read> {
    found.map(|found| -> Read { Box::new(move |reading| read(found, reading)) })
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// A description of a near match.
fn hint(listing: &Listing) -> String {
    let lines = listing.others.iter().filter(|f| metadata::has_ending(f, "jsonl")).count();
    let pictures = listing.pictures.len();
    match &listing.folders[..] {
        _ if lines > 1 => format!(" (it contains {lines} .jsonl files: name one of them)"),
        [] if pictures > 0 => format!(" ({pictures} pictures without labels)"),
        [one] if pictures == 0 => format!(" (is it {}?)", one.display()),
        _ => String::new(),
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Layout {
    type Err = DatasetError;

    /// A [`Layout::name`], in any case, `_` for `-` allowed.
    fn from_str(name: &str) -> Result<Self, DatasetError> {
        let plain = name.to_ascii_lowercase().replace('_', "-");
        Self::ALL.into_iter().find(|l| l.name() == plain).ok_or_else(|| {
            DatasetError::UnknownLayoutName(name.to_owned(), Self::ALL.map(Self::name).join(", "))
        })
    }
}

impl Serialize for Layout {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
