//! The layout of a hub's local cache: `models--OWNER--NAME/{blobs,refs,snapshots}`.

use std::path::{Path, PathBuf};

use super::is_plain_name;

/// One repository of a cache.
pub(super) struct CachedRepo {
    folder: PathBuf,
}

impl CachedRepo {
    /// The repository `owner/name` of the cache in a folder; it need not exist.
    pub fn new(cache: &Path, repo: &str) -> Self {
        Self { folder: cache.join(format!("models--{}", repo.replace('/', "--"))) }
    }

    /// A file at a commit or branch, if it has been downloaded.
    pub fn get(&self, revision: &str, file: &str) -> Option<PathBuf> {
        let branch = std::fs::read_to_string(self.folder.join("refs").join(revision)).ok();
        let commit = branch.as_deref().map_or(revision, str::trim);
        let path = self.pointer(commit, file);
        (is_plain_name(commit) && path.exists()).then_some(path)
    }

    /// The path of a file at a commit: a link to its content.
    pub fn pointer(&self, commit: &str, file: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit).join(file)
    }
}

#[cfg(feature = "hub")]
impl CachedRepo {
    /// Records the commit of a branch.
    pub fn point(&self, branch: &str, commit: &str) -> std::io::Result<()> {
        crate::files::write_atomic(&self.folder.join("refs").join(branch), commit.as_bytes())
    }

    /// Moves a checked file from the staging folder into the repository: first its content, then, atomically, its
    /// name. The file must be on the same file system.
    pub fn publish(&self, content: &Path, etag: &str, pointer: &Path) -> std::io::Result<()> {
        let blob = self.folder.join("blobs").join(etag);
        for path in [&*blob, pointer] {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
        }
        #[cfg(unix)]
        {
            std::fs::rename(content, blob)?;
            // The same link as the hub's own tools make: from snapshots/COMMIT/FILE to blobs/ETAG.
            let fresh = pointer.with_extension("aaclip-link");
            let _ = std::fs::remove_file(&fresh);
            std::os::unix::fs::symlink(Path::new("../../blobs").join(etag), &fresh)?;
            std::fs::rename(fresh, pointer)
        }
        #[cfg(not(unix))]
        std::fs::rename(content, pointer)
    }
}
