//! The file layout of AA-CLIP's official checkpoints.

use std::path::{Path, PathBuf};

/// The files for a path: the image checkpoint at the path, or the one of the highest epoch in the folder, and
/// the text checkpoint beside it.
pub(super) fn files(path: &Path) -> Option<Vec<PathBuf>> {
    let image = if path.is_dir() {
        let entries = std::fs::read_dir(path).ok()?.filter_map(|e| Some(e.ok()?.path()));
        let epochs = entries.filter(|p| p.is_file()).filter_map(|p| Some((epoch(&p)?, p)));
        epochs.max().map(|(_, path)| path)?
    } else {
        epoch(path)?;
        path.to_owned()
    };
    let text = image.with_file_name("text_adapter.pth");
    Some(if text.is_file() { vec![text, image] } else { vec![image] })
}

/// The epoch of `image_adapter_N.pth`; -1 for `image_adapter.pth`, the checkpoint for resuming.
fn epoch(path: &Path) -> Option<i64> {
    let rest = path.file_name()?.to_str()?.strip_prefix("image_adapter")?.strip_suffix(".pth")?;
    match rest.strip_prefix('_') {
        Some(number) => number.parse().ok(),
        None if rest.is_empty() => Some(-1),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &Path) -> Option<Vec<String>> {
        Some(files(path)?.iter().map(|p| p.file_name().unwrap().to_str().unwrap().to_owned()).collect())
    }

    #[test]
    fn the_newest_epoch_counts_and_a_named_one_wins() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str| std::fs::write(dir.path().join(name), b"x").unwrap();
        assert!(names(dir.path()).is_none());
        put("image_adapter.pth");
        assert_eq!(names(dir.path()).unwrap(), ["image_adapter.pth"]);
        for name in ["text_adapter.pth", "image_adapter_2.pth", "image_adapter_10.pth", "image_adapter_x.pth"]
        {
            put(name);
        }
        assert_eq!(names(dir.path()).unwrap(), ["text_adapter.pth", "image_adapter_10.pth"]);
        assert_eq!(
            names(&dir.path().join("image_adapter_2.pth")).unwrap(),
            ["text_adapter.pth", "image_adapter_2.pth"]
        );
    }
}
