//! The files of a training run.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The folder of a run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    folder: PathBuf,
    /// Whether the run goes on with what is there.
    pub resumed: bool,
}

impl RunFolder {
    /// Opens or makes the folder.
    ///
    /// # Errors
    /// A folder with a run in it if none is to be resumed, or none where one is.
    pub fn open(folder: &Path, resume: bool) -> Result<Self> {
        let run = Self { folder: folder.to_owned(), resumed: resume };
        let state = run.state();
        match (state.exists(), resume) {
            (true, false) => {
                return Err(Error::Setting(format!(
                    "{} holds a run already: go on with --resume, or give another folder",
                    folder.display()
                )));
            }
            (false, true) => {
                return Err(Error::Setting(format!("{} does not exist: nothing to resume", state.display())));
            }
            _ => {}
        }
        std::fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
        Ok(run)
    }

    /// Optimiser and position, to resume from.
    pub fn state(&self) -> PathBuf {
        self.folder.join("state.safetensors")
    }

    /// A line per step.
    pub fn log(&self) -> PathBuf {
        self.folder.join("train.jsonl")
    }

    /// What a first stage gives a second one.
    pub fn text(&self) -> PathBuf {
        self.folder.join("text.safetensors")
    }

    /// The weights after the last finished epoch.
    pub fn latest(&self) -> PathBuf {
        self.folder.join("adapters.safetensors")
    }

    /// The weights after an epoch, counted from 1.
    pub fn epoch(&self, epoch: usize) -> PathBuf {
        self.folder.join(format!("epoch-{epoch}.safetensors"))
    }
}
