//! Files and folders that a search does not take, counted by kind.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::printable::printable;

/// Names that systems and programs leave in folders of pictures, in addition to names with a leading dot (`._a.png`,
/// `.~tmp~`, `.Trash-1000`, `.ipynb_checkpoints`).
const DROPPINGS: [&str; 13] = [
    "@eadir",
    "@recycle",
    "@recently-snapshot",
    "#recycle",
    "#snapshot",
    "$recycle.bin",
    "system volume information",
    "lost+found",
    "__macosx",
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "icon\r",
];

/// Whether a file or folder is hidden: its name begins with a dot, or a system or a program left it.
pub fn is_hidden(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b".") || DROPPINGS.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// The number of different endings that are counted separately.
const ENDINGS: usize = 20;

/// What a search passed over. [`fmt::Display`] gives the kinds with their counts in one line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct PassedOver {
    /// Hidden files ([`is_hidden`]).
    pub hidden_files: usize,
    /// Hidden folders; their content is not counted.
    pub hidden_folders: usize,
    /// Files without the ending of a picture, by their ending in lower case (`.jp2`), or "none"; beyond 20 endings
    /// "more".
    pub other_endings: BTreeMap<String, usize>,
    /// Pictures and maps that this program wrote.
    pub results: usize,
    /// Pictures in folders of masks.
    pub masks: usize,
}

impl PassedOver {
    /// Whether nothing was passed over.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Counts a file with another ending.
    pub fn add_other(&mut self, file: &Path) {
        let ending = match file.extension() {
            Some(ending) => format!(".{}", ending.to_string_lossy().to_lowercase()),
            None => "none".to_owned(),
        };
        let is_new = !self.other_endings.contains_key(&ending);
        let ending = if is_new && self.other_endings.len() >= ENDINGS { "more".to_owned() } else { ending };
        *self.other_endings.entry(ending).or_default() += 1;
    }
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let some = |count: usize, one: &str, many: &str| {
            (count > 0).then(|| format!("{count} {}", if count == 1 { one } else { many }))
        };
        let endings: Vec<&str> = self.other_endings.keys().map(String::as_str).collect();
        let other = some(self.other_endings.values().sum(), "with another ending", "with other endings");
        let parts = [
            some(self.hidden_files, "hidden file", "hidden files"),
            some(self.hidden_folders, "hidden folder", "hidden folders"),
            other.map(|other| format!("{other} ({})", printable(&endings.join(", ")))),
            some(self.results, "result of this program", "results of this program"),
            some(self.masks, "mask", "masks"),
        ];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_counted_and_said() {
        for hidden in [".a.png", "._p.png", ".~tmp~", "@eaDir", "Thumbs.db", "__MACOSX"] {
            assert!(is_hidden(hidden.as_ref()), "{hidden}");
        }
        assert!(!is_hidden("a.png".as_ref()) && !is_hidden("thumbs".as_ref()));
        let mut passed = PassedOver { hidden_files: 3, hidden_folders: 1, masks: 2, ..PassedOver::default() };
        ["a.jp2", "b.JP2", "c.PNG.bak", "LICENSE"].iter().for_each(|name| passed.add_other(Path::new(name)));
        let said = "3 hidden files, 1 hidden folder, 4 with other endings (.bak, .jp2, none), 2 masks";
        assert_eq!(passed.to_string(), said);
        (0..100).for_each(|n| passed.add_other(Path::new(&format!("core.{n}"))));
        assert_eq!((passed.other_endings.len(), passed.other_endings["more"]), (21, 83));
    }
}
