//! Patches of many pictures in a file: all levels of a large folder do not fit in memory.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

use super::mutual::Patches;
use super::neighbourhood::neighbourhoods;
use crate::{Error, Result};

/// The patches of pictures at some levels, in a temporary file without a name.
pub(super) struct Store {
    file: Mutex<File>,
    width: usize,
    levels: usize,
    /// Rows and columns of each picture, and the place of its first number.
    pictures: Vec<((usize, usize), u64)>,
    end: u64,
}

impl Store {
    /// An empty store for tokens of `width` numbers at `levels` levels.
    pub fn new(width: usize, levels: usize) -> Result<Self> {
        let file = tempfile::tempfile().map_err(|e| io("create", e))?;
        Ok(Self { file: Mutex::new(file), width, levels, pictures: Vec::new(), end: 0 })
    }

    /// Adds a picture: its grid, and for each level its patches, `[L, W]`.
    pub fn add(&mut self, grid: (usize, usize), levels: &[Vec<f32>]) -> Result<()> {
        let file = self.file.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.pictures.push((grid, self.end));
        for patches in levels {
            let bytes: Vec<u8> = patches.iter().flat_map(|v| v.to_le_bytes()).collect();
            file.write_all(&bytes).map_err(|e| io("write", e))?;
            self.end += bytes.len() as u64;
        }
        Ok(())
    }

    /// Number of pictures.
    pub fn count(&self) -> usize {
        self.pictures.len()
    }

    /// Rows and columns of a picture.
    pub fn grid(&self, picture: usize) -> (usize, usize) {
        self.pictures[picture].0
    }

    fn read(&self, picture: usize, level: usize) -> Result<Vec<f32>> {
        let ((rows, columns), start) = self.pictures[picture];
        let bytes = rows * columns * self.width * 4;
        let mut buffer = vec![0; bytes];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(start + (level * bytes) as u64))
            .and_then(|_| file.read_exact(&mut buffer))
            .map_err(|e| io("read", e))?;
        drop(file);
        Ok(buffer.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
    }
}

fn io(action: &'static str, source: std::io::Error) -> Error {
    Error::io(action, "a temporary file", source)
}

/// The patches of one level with their neighbourhoods of one degree.
pub(super) struct Neighbourhoods<'a> {
    pub store: &'a Store,
    /// Place of the level in the store.
    pub level: usize,
    pub degree: usize,
}

impl Patches for Neighbourhoods<'_> {
    fn count(&self) -> usize {
        self.store.count()
    }

    fn width(&self) -> usize {
        self.store.width
    }

    fn of(&self, picture: usize) -> Result<Vec<f32>> {
        debug_assert!(self.level < self.store.levels);
        Ok(neighbourhoods(&self.store.read(picture, self.level)?, self.store.grid(picture), self.degree))
    }
}
