//! The files of a training run.

use std::path::{Path, PathBuf};

use crate::methods::trained::{LATEST, STATE};
use crate::{Error, Result};

/// The folder of a run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    folder: PathBuf,
    /// Whether the run resumes from the folder's state.
    pub resumed: bool,
}

impl RunFolder {
    /// Opens or creates the folder.
    ///
    /// # Errors
    /// The folder has a run but `resume` is false, or has none but `resume` is true.
    pub fn open(folder: &Path, resume: bool) -> Result<Self> {
        let run = Self { folder: folder.to_owned(), resumed: resume };
        let state = run.state();
        match (state.exists(), resume) {
            (true, false) => {
                return Err(Error::Setting(format!(
                    "{} already contains a training run: resume it, or name another folder",
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

    /// The state of the optimiser and the progress, for resuming.
    pub fn state(&self) -> PathBuf {
        self.folder.join(STATE)
    }

    /// The log, one line per step.
    pub fn log(&self) -> PathBuf {
        self.folder.join("train.jsonl")
    }

    /// The result of the first stage, for the second stage.
    pub fn text(&self) -> PathBuf {
        self.folder.join("text.safetensors")
    }

    /// The weights after the last finished epoch.
    pub fn latest(&self) -> PathBuf {
        self.folder.join(LATEST)
    }

    /// The weights after an epoch, counted from 1.
    pub fn epoch(&self, epoch: usize) -> PathBuf {
        self.folder.join(format!("epoch-{epoch}.safetensors"))
    }
}
