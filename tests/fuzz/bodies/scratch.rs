//! Files for readers that take paths. `TMPDIR` should be in memory.

use std::path::{Path, PathBuf};

thread_local! {
    static FOLDER: tempfile::TempDir = tempfile::tempdir().expect("a temporary folder");
}

/// A path in this thread's folder; its parent folders are made.
pub fn path(name: &str) -> PathBuf {
    let path = FOLDER.with(|f| f.path().join(name));
    let parent = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).expect("a folder for scratch files");
    path
}

/// A file with these bytes.
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = path(name);
    std::fs::write(&path, bytes).expect("a scratch file");
    path
}
