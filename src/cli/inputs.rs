//! From what was typed to a list of pictures: files, folders, globs and a list on stdin.

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use aaclip::image::{PICTURE_ENDINGS, is_picture_name};
use walkdir::WalkDir;

/// Longest line accepted in a list of paths.
const LONGEST_LINE: u64 = 64 << 10;

/// A picture to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The file.
    pub path: PathBuf,
    /// Its path below the folder it was found in; the file name alone if it was named outright.
    pub relative: PathBuf,
}

impl Input {
    fn named(path: PathBuf) -> Self {
        let relative = path.file_name().map_or_else(|| path.clone(), PathBuf::from);
        Self { path, relative }
    }
}

/// Pictures in the order they will be looked at, and what could not be turned into any.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    pub pictures: Vec<Input>,
    pub problems: Vec<String>,
}

/// Whether the arguments can stand for more than one picture.
pub fn many(arguments: &[PathBuf]) -> bool {
    match arguments {
        [one] => one.as_os_str() == "-" || one.is_dir() || (is_pattern(one) && !one.exists()),
        _ => true,
    }
}

/// Expands arguments: `-` is a list of paths on `stdin`, a folder all pictures below it in a stable order, a name
/// that does not exist but has `*`, `?` or `[` in it a pattern, anything else one file.
pub fn expand(arguments: &[PathBuf], stdin: impl Read) -> Inputs {
    let mut inputs = Inputs::default();
    let mut stdin = Some(stdin);
    for argument in arguments {
        if argument.as_os_str() == "-" {
            match stdin.take() {
                Some(list) => inputs.add_list(list),
                None => inputs.problems.push("`-` (a list on stdin) can be given only once".to_owned()),
            }
        } else if argument.is_dir() {
            inputs.add_folder(argument);
        } else if is_pattern(argument) && !argument.exists() {
            inputs.add_pattern(&argument.to_string_lossy());
        } else {
            inputs.pictures.push(Input::named(argument.clone()));
        }
    }
    inputs
}

fn is_pattern(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?', '['])
}

impl Inputs {
    fn add_list(&mut self, list: impl Read) {
        let mut lines = std::io::BufReader::new(list);
        let mut line = Vec::new();
        loop {
            line.clear();
            match lines.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
                Ok(0) => return,
                Ok(_) => {
                    let text = String::from_utf8_lossy(&line);
                    let text = text.trim_end_matches(['\n', '\r']);
                    if !text.is_empty() {
                        self.pictures.push(Input::named(PathBuf::from(text)));
                    }
                }
                Err(e) => return self.problems.push(format!("cannot read the list on stdin: {e}")),
            }
        }
    }

    fn add_folder(&mut self, folder: &Path) {
        let before = self.pictures.len();
        for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name() {
            match entry {
                Ok(entry) if entry.file_type().is_file() && is_picture_name(entry.path()) => {
                    let relative = entry.path().strip_prefix(folder).unwrap_or(entry.path()).to_owned();
                    self.pictures.push(Input { path: entry.into_path(), relative });
                }
                Ok(_) => {}
                Err(e) => self.problems.push(format!("cannot search {}: {e}", folder.display())),
            }
        }
        if self.pictures.len() == before {
            let endings = PICTURE_ENDINGS.join(", ");
            self.problems
                .push(format!("{}: no picture in this folder (looked for {endings})", folder.display()));
        }
    }

    fn add_pattern(&mut self, pattern: &str) {
        let before = self.pictures.len();
        match glob::glob(pattern) {
            Err(e) => return self.problems.push(format!("`{pattern}` is not a valid pattern: {e}")),
            Ok(matches) => {
                for found in matches {
                    match found {
                        Ok(path) if path.is_dir() => {}
                        Ok(path) => self.pictures.push(Input::named(path)),
                        Err(e) => self.problems.push(format!("cannot search `{pattern}`: {e}")),
                    }
                }
            }
        }
        if self.pictures.len() == before {
            self.problems.push(format!("`{pattern}`: no such file, and no file matches it as a pattern"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        for name in ["b.png", "a.JPG", "notes.txt", "sub/c.webp"] {
            std::fs::write(dir.path().join(name), b"").unwrap();
        }
        dir
    }

    fn relatives(inputs: &Inputs) -> Vec<String> {
        inputs.pictures.iter().map(|i| i.relative.to_string_lossy().replace('\\', "/")).collect()
    }

    #[test]
    fn folders_are_searched_in_a_stable_order() {
        let dir = tree();
        let inputs = expand(&[dir.path().to_owned()], std::io::empty());
        assert_eq!(relatives(&inputs), ["a.JPG", "b.png", "sub/c.webp"]);
        assert!(inputs.problems.is_empty() && many(&[dir.path().to_owned()]));
    }

    #[test]
    fn a_named_file_is_always_tried() {
        let inputs = expand(&["x/notes.txt".into(), "gone.png".into()], std::io::empty());
        assert_eq!(relatives(&inputs), ["notes.txt", "gone.png"]);
        assert!(!many(&["x/notes.txt".into()]) && many(&["-".into()]));
    }

    #[test]
    fn patterns_and_lists() {
        let dir = tree();
        let pattern = dir.path().join("*.[pJ]*");
        assert_eq!(relatives(&expand(&[pattern], std::io::empty())), ["a.JPG", "b.png"]);
        let list = expand(&["-".into(), "-".into()], "one.png\r\n\nsub/two words.png".as_bytes());
        assert_eq!(list.pictures[1].path, Path::new("sub/two words.png"));
        assert_eq!((list.pictures.len(), list.problems.len()), (2, 1));
        for nothing in ["*.tga", "[", "sub/none*"] {
            let inputs = expand(&[dir.path().join(nothing)], std::io::empty());
            assert_eq!((inputs.pictures.len(), inputs.problems.len()), (0, 1), "{nothing}");
        }
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(expand(&[empty.path().to_owned()], std::io::empty()).problems.len(), 1);
    }
}
