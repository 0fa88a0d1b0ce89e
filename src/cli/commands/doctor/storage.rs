//! The caches and the models in them.

use std::path::{Path, PathBuf};

use aaclip::models::{Hub, Registry};
use aaclip::weights::builtin;
use serde::Serialize;

use super::environment::without_password;

/// What is on disk.
#[derive(Debug, Serialize)]
pub struct Storage {
    /// Anchors; `None` where the system names no folder.
    pub anchors: Option<Folder>,
    /// The hub's own cache.
    pub hub: Option<Folder>,
    /// The hub's address.
    pub endpoint: Option<String>,
    /// Whether `HF_HUB_OFFLINE` forbids downloads.
    pub offline: bool,
    /// Whether a token would be sent.
    pub token: bool,
    /// The models of the registry, best first, then the built-in one.
    pub models: Vec<Model>,
}

/// A folder.
#[derive(Debug, Serialize)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it is there.
    pub exists: bool,
    /// Whether files can be made in it, or it can be made.
    pub writable: bool,
    /// Files in it.
    pub files: usize,
    /// Their size in bytes.
    pub bytes: u64,
    /// Whether all of them were counted.
    pub counted: bool,
}

/// A model that can be named.
#[derive(Debug, Serialize)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// Where it is; `None` for the built-in one and where it is not.
    pub path: Option<PathBuf>,
    /// Whether it can be used.
    pub here: bool,
    /// Size of the download in bytes, approximately.
    pub download: Option<u64>,
}

impl Storage {
    /// Why a run without `--model` takes the model of this name.
    pub fn why_default(&self, name: &str) -> String {
        match name {
            builtin::NAME => "comes with the program; no model of `aaclip models list` is here".to_owned(),
            _ => "the first of `aaclip models list` that is here".to_owned(),
        }
    }
}

/// Looks at the disk. Nothing is fetched.
pub fn look(problems: &mut Vec<String>, notes: &mut Vec<String>) -> Storage {
    let hub = Hub::from_env().map_err(|e| problems.push(e.to_string())).ok();
    let registry = Registry::load().map_err(|e| problems.push(e.to_string())).ok();
    let anchors = aaclip::files::cache_dir().map(|dir| Folder::new(&dir.join("anchors")));
    match &anchors {
        Some(folder) if !folder.writable => notes.push(format!(
            "{} cannot be written to: every run encodes its prompts again; AACLIP_CACHE names another folder",
            folder.path.display()
        )),
        None => notes.push("no folder for caches: set AACLIP_CACHE".to_owned()),
        Some(_) => {}
    }
    let entries = registry.as_ref().map_or(&[][..], Registry::entries);
    let mut models: Vec<Model> = (entries.iter())
        .map(|entry| {
            let path = hub.as_ref().and_then(|hub| hub.locate(entry));
            let (name, here) = (entry.name.clone(), path.is_some());
            Model { name, here, path, download: Some(entry.weights.size) }
        })
        .collect();
    if !models.iter().any(|m| m.here) {
        notes.push(
            "only the built-in model is here: `aaclip models pull ViT-B-16-plus-240` gets a better one"
                .to_owned(),
        );
    }
    models.push(Model { name: builtin::NAME.to_owned(), path: None, here: true, download: None });
    Storage {
        anchors,
        hub: hub.as_ref().map(|hub| Folder::new(hub.cache_folder())),
        endpoint: hub.as_ref().map(|hub| without_password(hub.endpoint())),
        offline: hub.as_ref().is_some_and(Hub::is_offline),
        token: hub.as_ref().is_some_and(Hub::has_token),
        models,
    }
}

/// Files that are counted, at most: the answer should come at once.
const MOST_FILES: usize = 50_000;

impl Folder {
    fn new(path: &Path) -> Self {
        let mut files = 0;
        let mut bytes = 0u64;
        let mut seen = 0;
        // Links are not followed: the hub's cache has every file once, and links to it.
        for entry in walkdir::WalkDir::new(path).into_iter().take(MOST_FILES).flatten() {
            seen += 1;
            if let Some(about) = entry.metadata().ok().filter(std::fs::Metadata::is_file) {
                files += 1;
                bytes = bytes.saturating_add(about.len());
            }
        }
        let exists = path.is_dir();
        // One that is missing is made in the nearest folder that is there.
        let nearest = path.ancestors().find(|p| p.symlink_metadata().is_ok());
        let writable =
            nearest.is_some_and(|p| tempfile::Builder::new().prefix(".aaclip-").tempfile_in(p).is_ok());
        Self { path: path.to_owned(), exists, writable, files, bytes, counted: seen < MOST_FILES }
    }
}
