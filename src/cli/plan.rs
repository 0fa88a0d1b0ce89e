//! Where the files of each picture go, decided before any work.

use std::collections::{BTreeMap, HashMap};
use std::path::{Component, Path, PathBuf};

use aaclip::output::ArtefactNames;
use aaclip::{Error, Result};

use super::inputs::Input;

/// The output names of every input, below `out`: its relative path without its ending.
///
/// Where two pictures differ only in their ending both keep it (`a.png.npy`, `a.jpg.npy`).
///
/// # Errors
/// Two different pictures that would still write the same files.
pub fn names(inputs: &[Input], out: &Path) -> Result<Vec<ArtefactNames>> {
    let stems: Vec<PathBuf> =
        inputs.iter().map(|i| out.join(inside(&i.relative.with_extension("")))).collect();
    let mut users: HashMap<&PathBuf, Vec<&Path>> = HashMap::new();
    for (stem, input) in stems.iter().zip(inputs) {
        let paths = users.entry(stem).or_default();
        if !paths.contains(&input.path.as_path()) {
            paths.push(&input.path);
        }
    }
    let names: Vec<ArtefactNames> = stems
        .iter()
        .zip(inputs)
        .map(|(stem, input)| {
            let shared = users.get(stem).is_some_and(|paths| paths.len() > 1);
            ArtefactNames { stem: if shared { out.join(inside(&input.relative)) } else { stem.clone() } }
        })
        .collect();
    let mut taken: BTreeMap<&ArtefactNames, &Path> = BTreeMap::new();
    for (name, input) in names.iter().zip(inputs) {
        if let Some(other) = taken.insert(name, &input.path)
            && other != input.path
        {
            return Err(Error::Setting(format!(
                "{} and {} would write the same files: give the folder that holds both, or use two runs",
                other.display(),
                input.path.display()
            )));
        }
    }
    Ok(names)
}

/// The path without anything that could lead out of the output folder.
fn inside(path: &Path) -> PathBuf {
    path.components().filter(|c| matches!(c, Component::Normal(_))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(inputs: &[(&str, &str)]) -> Result<Vec<String>> {
        let inputs: Vec<Input> =
            inputs.iter().map(|(p, r)| Input { path: p.into(), relative: r.into() }).collect();
        let names = names(&inputs, Path::new("out"))?;
        Ok(names.iter().map(|n| n.stem.to_string_lossy().replace('\\', "/")).collect())
    }

    #[test]
    fn stems_mirror_the_tree() {
        let found =
            plan(&[("d/a.png", "a.png"), ("d/s/a.png", "s/a.png"), ("d/b.01.png", "b.01.png")]).unwrap();
        assert_eq!(found, ["out/a", "out/s/a", "out/b.01"]);
    }

    #[test]
    fn endings_tell_twins_apart() {
        let found = plan(&[("d/a.png", "a.png"), ("d/a.jpg", "a.jpg"), ("d/c.png", "c.png")]).unwrap();
        assert_eq!(found, ["out/a.png", "out/a.jpg", "out/c"]);
    }

    #[test]
    fn the_same_picture_twice_is_fine_but_not_two_of_one_name() {
        assert!(plan(&[("d/a.png", "a.png"), ("d/a.png", "a.png")]).is_ok());
        let error = plan(&[("d/a.png", "a.png"), ("e/a.png", "a.png")]).unwrap_err().to_string();
        assert!(error.contains("d/a.png") && error.contains("e/a.png"), "{error}");
    }

    #[test]
    fn nothing_leads_out_of_the_folder() {
        assert_eq!(plan(&[("../x.png", "../../x.png")]).unwrap(), ["out/x"]);
    }
}
