//! Tiny trees of every layout.

mod layouts;
mod metadata;
mod problems;
mod selection;

use std::path::{Path, PathBuf};

use aaclip::dataset::{Dataset, DatasetError, Label, Layout, Mask, Problem, ProblemKind, Sample};

/// A data set in a temporary folder.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Writes grey pictures of 2 x 3 pixels that also serve as masks: one is not black (a JPEG needs more contrast).
    fn with(names: &[&str]) -> Self {
        let tree = Self::new();
        let corner = |name: &str| if name.ends_with("jpg") { 255 } else { 1 };
        names.iter().for_each(|name| tree.picture(name, 2, 3, corner(name)));
        tree
    }

    fn picture(&self, name: &str, width: u32, height: u32, corner: u8) {
        let mut image = image::GrayImage::new(width, height);
        image.put_pixel(0, 0, image::Luma([corner]));
        let path = self.file(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        image.save(path).unwrap();
    }

    fn text(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.file(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn open(&self) -> Dataset {
        let data = Dataset::open(self.path(), None).unwrap();
        let asked = Dataset::open(self.path(), Some(data.layout)).unwrap();
        assert_eq!(data, asked);
        data
    }

    #[track_caller]
    fn refused(&self) -> DatasetError {
        Dataset::open(self.path(), None).unwrap_err()
    }
}

/// One line per sample: class, name, label, kind and the mask's path below the root.
fn lines(data: &Dataset) -> Vec<String> {
    let line = |s: &Sample| {
        assert_eq!(s.path, data.root.join(&s.name));
        let mask = match &s.mask {
            Mask::None => "-".to_owned(),
            Mask::Unlabelled => "?".to_owned(),
            mask => {
                let below =
                    mask.files().iter().map(|f| f.strip_prefix(&data.root).unwrap().display().to_string());
                below.collect::<Vec<_>>().join(" + ")
            }
        };
        let label = if s.label == Label::Normal { '0' } else { '1' };
        format!("{} {} {label} {} {mask}", s.class, s.name, s.kind)
    };
    data.samples.iter().map(line).collect()
}

/// Kinds and file names of problems.
fn found(problems: &[Problem]) -> Vec<(ProblemKind, String)> {
    let name = |p: &Problem| p.path.file_name().unwrap().to_string_lossy().into_owned();
    problems.iter().map(|p| (p.kind, name(p))).collect()
}
