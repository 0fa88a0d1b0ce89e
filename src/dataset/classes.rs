//! Classes with one folder of pictures per kind.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::listing::{Listing, file_name, folder_name};
use super::masks::Masks;
use super::reading::Reading;
use super::{DatasetError, Label, ProblemKind};

/// A class or set found by a layout.
#[derive(Debug)]
pub(super) struct Class {
    pub name: String,
    pub folder: PathBuf,
    /// Its pictures, or the folders of its kinds.
    pub images: PathBuf,
    /// Its masks, or the folders of the masks of each kind.
    pub masks: Option<PathBuf>,
}

/// The pictures of one kind.
pub(super) struct Kind {
    pub name: String,
    pub folder: PathBuf,
    pub label: Label,
    /// The folders of their masks.
    pub masks: Vec<PathBuf>,
}

/// The classes of a data set: `root` itself, or folders in it.
pub(super) fn one_or_many(
    root: &Path,
    listing: &Listing,
    class: impl Fn(&Path) -> Option<Class>,
) -> Vec<Class> {
    class(root).map_or_else(|| listing.folders.iter().filter_map(|f| class(f)).collect(), |one| vec![one])
}

/// Renames classes with the same name after their folders.
pub(super) fn distinct(mut classes: Vec<Class>) -> Vec<Class> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for class in &classes {
        *counts.entry(class.name.clone()).or_default() += 1;
    }
    for class in &mut classes {
        if counts[&class.name] > 1 {
            class.name = folder_name(&class.folder);
        }
    }
    classes
}

/// Adds the pictures of a class; returns whether it has masks. The mask of `X` is `X` with one of `suffixes`.
pub(super) fn read(
    class: &Class,
    kinds: Vec<Kind>,
    suffixes: &'static [&'static str],
    reading: &mut Reading,
) -> Result<bool, DatasetError> {
    let (mut has_masks, mut count) = (false, 0);
    for Kind { name, folder, label, masks } in kinds {
        let mut masks = Masks::of(masks, suffixes, reading)?;
        has_masks |= !masks.is_empty();
        count += reading.folder(&class.name, &name, label, &folder, &mut masks)?;
        masks.report_orphans(reading);
    }
    if count == 0 {
        let detail = format!("the folders of {} contain no picture", file_name(&class.images));
        reading.problem(ProblemKind::EmptyClass, &class.folder, detail);
    }
    Ok(has_masks)
}
