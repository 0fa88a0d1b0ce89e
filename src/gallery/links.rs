//! Compact relative addresses from the page to files.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use crate::files;

/// Finds relative paths from one folder to files.
pub(super) struct Links {
    from: PathBuf,
    /// Folders in their canonical form; `None` if a folder does not exist.
    folders: HashMap<PathBuf, Option<PathBuf>>,
}

impl Links {
    /// Paths from `folder`, which exists.
    ///
    /// # Errors
    /// The folder cannot be resolved.
    pub(super) fn from(folder: &Path) -> std::io::Result<Self> {
        Ok(Self { from: folder.canonicalize()?, folders: HashMap::new() })
    }

    /// The path to `file`, with `/` and not yet escaped; `None` if there is no relative path (another drive)
    /// or it is not UTF-8.
    pub(super) fn to(&mut self, file: &Path) -> Option<String> {
        let folder = files::folder_of(file);
        if !self.folders.contains_key(folder) {
            self.folders.insert(folder.to_owned(), folder.canonicalize().ok());
        }
        // Links to files are not resolved, because their target may have another ending.
        let folder = self.folders.get(folder)?.as_ref()?;
        relative(&self.from, &folder.join(file.file_name()?))
    }
}

fn relative(from: &Path, to: &Path) -> Option<String> {
    let from: Vec<Component> = from.components().collect();
    let to: Vec<Component> = to.components().collect();
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    if common == 0 {
        return None;
    }
    let up = from.get(common..)?.iter().map(|_| Some(".."));
    let down = to.get(common..)?.iter().map(|part| part.as_os_str().to_str());
    let parts: Option<Vec<&str>> = up.chain(down).collect();
    Some(parts?.join("/"))
}

/// Texts that mostly consist of a picture's name with the same text before and after it.
#[derive(Default)]
pub(super) struct Places {
    table: Vec<[String; 2]>,
    known: HashMap<[String; 2], usize>,
}

/// A text: the number of the text around the name, or the whole text.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Place {
    Around(usize),
    Whole(String),
}

impl Places {
    /// A larger table would save nothing.
    const MOST: usize = 256;

    /// `text` in its shortest form for a picture named `name`.
    pub(super) fn place(&mut self, text: String, name: &str) -> Place {
        let Some((before, after)) = text.rsplit_once(name).filter(|_| !name.is_empty()) else {
            return Place::Whole(text);
        };
        let around = [before.to_owned(), after.to_owned()];
        if let Some(&at) = self.known.get(&around) {
            return Place::Around(at);
        }
        if self.table.len() >= Self::MOST {
            return Place::Whole(text);
        }
        self.known.insert(around.clone(), self.table.len());
        self.table.push(around);
        Place::Around(self.table.len() - 1)
    }

    /// The texts around names, by number.
    pub(super) fn into_table(self) -> Vec<[String; 2]> {
        self.table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_leads_up_and_down() {
        let way = |from: &str, to: &str| relative(Path::new(from), Path::new(to));
        assert_eq!(way("/a/out", "/a/out/x/1.png").as_deref(), Some("x/1.png"));
        assert_eq!(way("/a/out", "/a/photos/1.png").as_deref(), Some("../photos/1.png"));
        assert_eq!(way("/a/b/out", "/c.png").as_deref(), Some("../../../c.png"));
        assert_eq!(way("a", "/c.png"), None);
    }

    #[test]
    fn a_place_is_the_text_again() {
        let mut places = Places::default();
        let texts = [("../p/a.png", "a.png"), ("../p/a/a.png", "a/a.png"), ("a.png.overlay.png", "a.png")];
        let kept: Vec<Place> = texts.iter().map(|(t, n)| places.place((*t).to_owned(), n)).collect();
        let table = places.into_table();
        assert_eq!(table.len(), 2);
        for (place, (text, name)) in kept.iter().zip(texts) {
            let Place::Around(at) = place else { panic!("{text} has no table entry") };
            assert_eq!(format!("{}{name}{}", table[*at][0], table[*at][1]), text);
        }
        let mut places = Places::default();
        assert!(matches!(places.place("x".into(), "y"), Place::Whole(t) if t == "x"));
        assert!(matches!(places.place("x".into(), ""), Place::Whole(t) if t == "x"));
        for i in 0..2 * Places::MOST {
            places.place(format!("{i}/n"), "n");
        }
        assert_eq!(places.into_table().len(), Places::MOST);
    }
}
