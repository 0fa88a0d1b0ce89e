//! The files of `--adapters`.

use std::path::{Path, PathBuf};

/// Finds the checkpoint files of a path: a file and, if it is AA-CLIP's image checkpoint, the text checkpoint beside
/// it; or a folder with AA-CLIP's checkpoints (the image checkpoint of the highest epoch) or a single file.
pub(super) fn files(path: &Path) -> Result<Vec<PathBuf>, String> {
    if !path.is_dir() {
        let beside = path.with_file_name("text_adapter.pth");
        let pair = epoch(path).is_some() && beside.is_file();
        return Ok(if pair { vec![beside, path.to_owned()] } else { vec![path.to_owned()] });
    }
    let entries = std::fs::read_dir(path).map_err(|e| e.to_string())?;
    let mut all: Vec<PathBuf> =
        entries.filter_map(|e| e.ok().map(|e| e.path())).filter(|p| p.is_file()).collect();
    all.sort();
    let newest = all.iter().filter_map(|p| Some((epoch(p)?, p))).max_by_key(|(epoch, _)| *epoch);
    if let Some((_, image)) = newest {
        let text = path.join("text_adapter.pth");
        return Ok(if text.is_file() { vec![text, image.clone()] } else { vec![image.clone()] });
    }
    for ending in ["safetensors", "pth", "pt"] {
        let mut matching = all.iter().filter(|p| p.extension().is_some_and(|e| e == ending));
        match (matching.next(), matching.next()) {
            (Some(only), None) => return Ok(vec![only.clone()]),
            (Some(one), Some(other)) => {
                let name = |p: &Path| p.file_name().unwrap_or_default().to_string_lossy().into_owned();
                return Err(format!("several files ({} and {}): name one", name(one), name(other)));
            }
            _ => {}
        }
    }
    Err("no .safetensors or .pth file".to_owned())
}

/// The epoch of `image_adapter_N.pth`; `image_adapter.pth` is what training resumes from, newer than none.
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

    fn names(path: &Path) -> Result<Vec<String>, String> {
        Ok(files(path)?.iter().map(|p| p.file_name().unwrap().to_str().unwrap().to_owned()).collect())
    }

    #[test]
    fn the_newest_epoch_counts_and_a_named_one_wins() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str| std::fs::write(dir.path().join(name), b"x").unwrap();
        assert!(names(dir.path()).is_err());
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

    #[test]
    fn other_folders_hold_one_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("epoch_3.pth"), b"x").unwrap();
        assert_eq!(names(dir.path()).unwrap(), ["epoch_3.pth"]);
        std::fs::write(dir.path().join("epoch_4.pth"), b"x").unwrap();
        assert!(names(dir.path()).unwrap_err().contains("name one"));
        std::fs::write(dir.path().join("mine.safetensors"), b"x").unwrap();
        assert_eq!(names(dir.path()).unwrap(), ["mine.safetensors"]);
    }
}
