//! Selects names in a folder.

use std::path::Path;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::BatchError;
use crate::dataset::is_mask_folder;
use crate::image::{PICTURE_ENDINGS, is_picture_name};
use crate::output::is_artefact_name;
use crate::passed::is_hidden;

/// Patterns for names below a folder. `*` and `?` match within one name, `**` crosses folders; a pattern
/// without `/` is compared only with the last name.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    include: Option<Patterns>,
    exclude: Option<Patterns>,
    /// Whether hidden files and folders are taken ([`is_hidden`]).
    pub hidden: bool,
    said: Vec<String>,
}

/// The meaning of a file in a searched folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    Picture,
    Hidden,
    /// Left out by a pattern.
    Excluded,
    /// Written by this program.
    Result,
    OtherEnding,
}

#[derive(Debug, Clone)]
struct Patterns {
    /// Compared with the path below the folder.
    paths: GlobSet,
    /// Compared with the last name.
    names: GlobSet,
}

impl Filter {
    /// Takes names that match a pattern of `include`, if there are any, and no pattern of `exclude`.
    ///
    /// # Errors
    /// A pattern is invalid.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, BatchError> {
        let said = include.iter().map(|p| format!("--include {p}"));
        let said = said.chain(exclude.iter().map(|p| format!("--exclude {p}"))).collect();
        Ok(Self { include: Patterns::new(include)?, exclude: Patterns::new(exclude)?, hidden: false, said })
    }

    /// Whether a file is taken, by its path below the searched folder. Images written by earlier runs are
    /// not.
    pub fn takes(&self, relative: &Path) -> bool {
        self.kind(relative) == FileKind::Picture
    }

    /// The kind of a file, by its path below the searched folder.
    pub(super) fn kind(&self, relative: &Path) -> FileKind {
        match () {
            () if self.hides(relative) => FileKind::Hidden,
            () if !self.include.as_ref().is_none_or(|p| p.match_(relative)) => FileKind::Excluded,
            () if self.excludes(relative) => FileKind::Excluded,
            () if is_artefact_name(relative) => FileKind::Result,
            () if is_picture_name(relative) => FileKind::Picture,
            () => FileKind::OtherEnding,
        }
    }

    /// Whether a folder is searched, by its path below the searched folder: not if it is hidden, excluded itself or
    /// has the masks of a data set.
    pub fn enters(&self, relative: &Path) -> bool {
        !self.hides(relative) && !self.excludes(relative) && !is_mask_folder(relative)
    }

    /// Whether the last name is hidden, and hidden names are left out.
    pub(super) fn hides(&self, relative: &Path) -> bool {
        !self.hidden && relative.file_name().is_some_and(is_hidden)
    }

    /// Whether a pattern excludes the name.
    pub(super) fn excludes(&self, relative: &Path) -> bool {
        self.exclude.as_ref().is_some_and(|p| p.match_(relative))
    }

    /// Whether there are patterns.
    pub fn is_set(&self) -> bool {
        !self.said.is_empty()
    }

    /// A description of the taken files.
    pub fn describe(&self) -> String {
        let endings = format!("looked for {}", PICTURE_ENDINGS.join(", "));
        if self.said.is_empty() { endings } else { format!("{endings}; {}", self.said.join(" ")) }
    }
}

impl Patterns {
    fn new(patterns: &[String]) -> Result<Option<Self>, BatchError> {
        let (mut paths, mut names) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for pattern in patterns {
            let wrong = |e: globset::Error| BatchError::Pattern(pattern.clone(), e.kind().to_string());
            // `sub/`, as completed by a shell, is the folder `sub`.
            let text = pattern.trim_end_matches('/');
            let glob = GlobBuilder::new(text).literal_separator(true).build().map_err(wrong)?;
            if text.contains('/') {
                paths.add(glob)
            } else {
                names.add(glob)
            };
        }
        let built = |set: GlobSetBuilder| {
            set.build().map_err(|e| BatchError::Pattern(patterns.join(" "), e.to_string()))
        };
        if patterns.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self { paths: built(paths)?, names: built(names)? }))
    }

    fn match_(&self, relative: &Path) -> bool {
        self.paths.is_match(relative) || relative.file_name().is_some_and(|name| self.names.is_match(name))
    }
}
