//! The results of a folder as a gallery: one HTML page, with thumbnails in a folder beside it.
//!
//! [`DetectRun::read`] reads the output of `aaclip detect FOLDER -o OUT`, [`Gallery::write`] writes its page.
//! The page contains the records in a compact form, its style and its script, and uses no network (a content
//! security policy restricts it to files). Pictures are thumbnails, loaded when they become visible, and the
//! files of the run where the page can reach them.
//!
//! Names and paths in records are untrusted: on the page they are text, and only the page's file and its
//! folder of thumbnails are written.

mod data;
mod document;
mod error;
mod links;
mod part;
mod results;
mod thumbs;

use std::path::{Path, PathBuf};

pub use error::GalleryError;
pub use results::{DetectRun, MOST_REGIONS, ShownPicture};

use crate::image::DecodeOptions;
use crate::progress::Progress;
use crate::{Error, Result, files};
use data::{PageData, Selection};
use links::Links;
use thumbs::ThumbFolder;

/// How to make the page of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Gallery {
    /// The page's file, ending in `.html`. Thumbnails go to a folder beside it: `report.html` has `report-thumbs`.
    pub page: PathBuf,
    /// The title; by default the name of the run's folder.
    pub title: Option<String>,
    /// Longest side of a thumbnail, in pixels; at least 1.
    pub thumbnail: u32,
    /// Largest number of pictures on the page: those with the highest scores. The others are only counted.
    pub most: usize,
    /// Limits for decoding pictures.
    pub decoding: DecodeOptions,
}

/// A summary of a run's page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GallerySummary {
    /// Pictures with a score.
    pub scored: usize,
    /// Scored pictures that are anomalous by the run's own threshold.
    pub anomalous: usize,
    /// Pictures without a score.
    pub failed: usize,
    /// Pictures on the page.
    pub shown: usize,
    /// Pictures on the page without a thumbnail.
    pub without_thumbnail: usize,
    /// Thumbnails made now; the others already existed.
    pub made: usize,
    /// Size of the page's file.
    pub page_bytes: u64,
}

impl Gallery {
    /// Default longest side of a thumbnail, in pixels.
    pub const THUMBNAIL: u32 = 256;

    /// Default number of pictures on a page: about 10 MB.
    pub const MOST: usize = 50_000;

    /// The page of a run at its default path, `report.html` in the run's folder.
    pub fn of(run: &DetectRun) -> Self {
        Self {
            page: run.folder.join("report.html"),
            title: None,
            thumbnail: Self::THUMBNAIL,
            most: Self::MOST,
            decoding: DecodeOptions::default(),
        }
    }

    /// Writes the page and the missing or outdated thumbnails; deletes unused thumbnails.
    ///
    /// # Errors
    /// The page's name does not end in `.html`, or a file or folder cannot be written. Missing or damaged
    /// pictures are not an error: they are shown by their overlay, or by their figures alone.
    pub fn write(&self, run: &DetectRun, progress: Progress) -> Result<GallerySummary> {
        let name = self.page.file_name().and_then(|n| n.to_str());
        let stem = name
            .and_then(|n| n.strip_suffix(".html"))
            .filter(|stem| !stem.is_empty())
            .ok_or_else(|| GalleryError::PageName(self.page.clone()))?;
        let folder = files::folder_of(&self.page);
        std::fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
        let links = Links::from(folder).map_err(|e| Error::io("resolve", folder, e))?;
        let thumbs = format!("{stem}-thumbs");

        let selection = Selection::new(&run.pictures, self.most.max(1));
        let thumbs_path = folder.join(&thumbs);
        let thumb_folder = ThumbFolder::open(&thumbs_path, self.thumbnail.max(1), &self.decoding)?;
        let made = thumb_folder.make(&selection.shown, &run.folder, progress)?;

        let count = |f: fn(&ShownPicture) -> bool| run.pictures.iter().filter(|p| f(p)).count();
        let mut summary = GallerySummary {
            scored: count(|p| p.score().is_some()),
            anomalous: count(|p| p.anomalous() == Some(true)),
            failed: count(|p| p.score().is_none()),
            shown: selection.shown.len(),
            without_thumbnail: made.iter().filter(|t| t.picture.is_none() && t.heat.is_none()).count(),
            made: made.iter().map(|t| t.made).sum(),
            page_bytes: 0,
        };
        let data = PageData::new(run, &selection, &made, &thumbs, links)
            .to_script()
            .map_err(|e| Error::io("write", &self.page, e.into()))?;
        let title = self.title.clone().unwrap_or_else(|| folder_name(&run.folder));
        let page = document::document(&title, run, &summary, &data);
        files::write_atomic(&self.page, page.as_bytes()).map_err(|e| Error::io("write", &self.page, e))?;
        // Last, because the old page may be in use until here.
        thumb_folder.prune(&made);
        summary.page_bytes = page.len() as u64;
        Ok(summary)
    }
}

/// The name of a folder, also if given as `.`.
fn folder_name(folder: &Path) -> String {
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    whole.file_name().map_or_else(|| "Report".to_owned(), |name| name.to_string_lossy().into_owned())
}
