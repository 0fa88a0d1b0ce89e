//! From arguments to a listing of pictures: files, folders, patterns and a list on stdin.

use std::io::Read;
use std::path::{Path, PathBuf};

use aaclip::batch::{Input, Listing, Root};
use aaclip::files::path_of_bytes;
use aaclip::lines::{Line, Lines};

/// Longest line accepted in a list of paths.
const LONGEST_LINE: u64 = 64 << 10;

/// The pictures in the arguments, and the arguments without pictures.
#[derive(Debug, Default)]
pub struct Inputs {
    pub listing: Listing,
    pub problems: Vec<String>,
}

/// Whether the arguments can mean more than one picture.
pub fn many(arguments: &[PathBuf]) -> bool {
    match arguments {
        [one] => one.as_os_str() == "-" || one.is_dir() || (is_pattern(one) && !one.exists()),
        _ => true,
    }
}

/// Expands arguments: `-` is a list of paths on `stdin`; a folder means all pictures below it in a stable
/// order; a name that does not exist but contains `*`, `?` or `[` is a pattern; anything else is one file.
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
            inputs.listing.roots.push(Root::Folder(argument.clone()));
        } else if is_pattern(argument) && !argument.exists() {
            inputs.add_pattern(argument);
        } else {
            inputs.add(vec![Input::named(argument.clone())]);
        }
    }
    inputs
}

fn is_pattern(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?', '['])
}

impl Inputs {
    fn add(&mut self, files: Vec<Input>) {
        match self.listing.roots.last_mut() {
            Some(Root::Files(before)) => before.extend(files),
            _ => self.listing.roots.push(Root::Files(files)),
        }
    }

    /// Paths of a list keep their folders in the names of results.
    fn add_list(&mut self, list: impl Read) {
        let mut files = Vec::new();
        for line in Lines::new(std::io::BufReader::new(list), LONGEST_LINE) {
            match line {
                Ok(Line::Whole(line)) if line.is_empty() => {}
                Ok(Line::Whole(line)) => {
                    let path = path_of_bytes(&line);
                    files.push(Input { relative: path.clone(), path });
                }
                Ok(Line::TooLong(_)) => {
                    self.problems.push(format!("a line of the list is longer than {LONGEST_LINE} bytes"));
                }
                Err(e) => self.problems.push(format!("cannot read the list on stdin: {e}")),
            }
        }
        self.add(files);
    }

    /// Matches of a pattern keep their path below the fixed part of the pattern.
    fn add_pattern(&mut self, pattern: &Path) {
        let text = pattern.to_string_lossy();
        let fixed: PathBuf =
            pattern.components().take_while(|c| !is_pattern(Path::new(c.as_os_str()))).collect();
        let mut files = Vec::new();
        match glob::glob(&text) {
            Err(e) => return self.problems.push(format!("`{text}` is not a valid pattern: {e}")),
            Ok(matches) => {
                for found in matches {
                    match found {
                        Ok(path) if path.is_dir() => {}
                        Ok(path) => {
                            let relative = path.strip_prefix(&fixed).unwrap_or(&path).to_owned();
                            files.push(Input { path, relative });
                        }
                        Err(e) => self.problems.push(format!("cannot search `{text}`: {e}")),
                    }
                }
            }
        }
        if files.is_empty() {
            self.problems.push(format!("`{text}`: no such file, and no file matches it as a pattern"));
        }
        self.add(files);
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

    fn names(inputs: &Inputs) -> Vec<String> {
        let found = inputs.listing.iter().filter_map(Result::ok);
        found.map(|i| String::from_utf8(i.name()).unwrap()).collect()
    }

    #[test]
    fn folders_and_named_files() {
        let dir = tree();
        let inputs = expand(&[dir.path().to_owned()], std::io::empty());
        assert_eq!(names(&inputs), ["a.JPG", "b.png", "sub/c.webp"]);
        assert!(inputs.problems.is_empty() && many(&[dir.path().to_owned()]));
        // A named file is always tried.
        let inputs = expand(&["x/notes.txt".into(), "gone.png".into()], std::io::empty());
        assert_eq!(names(&inputs), ["notes.txt", "gone.png"]);
        assert!(!many(&["x/notes.txt".into()]) && many(&["-".into()]));
    }

    #[test]
    fn patterns_and_lists_keep_folders() {
        let dir = tree();
        let pattern = dir.path().join("*.[pJ]*");
        assert_eq!(names(&expand(&[pattern], std::io::empty())), ["a.JPG", "b.png"]);
        let pattern = dir.path().join("s*/*.webp");
        assert_eq!(names(&expand(&[pattern], std::io::empty())), ["sub/c.webp"]);
        let list = expand(&["-".into(), "-".into()], "\u{feff}one.png\r\n\n./sub/two words.png".as_bytes());
        assert_eq!(names(&list), ["one.png", "sub/two words.png"]);
        assert_eq!(list.problems.len(), 1);
        for nothing in ["*.tga", "[", "sub/none*"] {
            let inputs = expand(&[dir.path().join(nothing)], std::io::empty());
            assert_eq!((names(&inputs).len(), inputs.problems.len()), (0, 1), "{nothing}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_list_may_hold_any_name() {
        use std::os::unix::ffi::OsStrExt;
        let list = expand(&["-".into()], &b"sub/\xff.png\n"[..]);
        let input = list.listing.iter().next().unwrap().unwrap();
        assert_eq!(input.path.as_os_str().as_bytes(), b"sub/\xff.png");
    }
}
