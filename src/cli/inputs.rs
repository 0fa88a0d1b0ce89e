//! From arguments to a listing of pictures: files, folders, patterns and a list on stdin.

use std::io::Read;
use std::path::{Component, Path, PathBuf};

use aaclip::batch::{Input, Listing, Root};
use aaclip::files::path_of_bytes;
use aaclip::lines::{Line, Lines};
use aaclip::passed::PassedOver;
use glob::Pattern;

use crate::cli::messages;

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
/// order; a name that does not exist but contains `*`, `?` or `[` is a pattern; anything else is one file. One file
/// is known by its name, several by their paths below their common folder.
///
/// Patterns find hidden files and folders if they name their dot, or if `hidden`.
pub fn expand(arguments: &[PathBuf], hidden: bool, stdin: impl Read) -> Inputs {
    let mut inputs = Inputs::default();
    let mut stdin = Some(stdin);
    let common = common_folder(arguments);
    for argument in arguments {
        if argument.as_os_str() == "-" {
            match stdin.take() {
                Some(list) => inputs.add_list(list),
                None => inputs.problems.push("`-` (a list on stdin) can be given only once".to_owned()),
            }
        } else if argument.is_dir() {
            inputs.listing.roots.push(Root::Folder(argument.clone()));
        } else if is_pattern(argument) && !argument.exists() {
            inputs.add_pattern(argument, hidden);
        } else {
            inputs.add(vec![below(common.as_deref(), argument)]);
        }
    }
    inputs
}

/// The folder that contains all files among the arguments; `None` for fewer than two files.
fn common_folder(arguments: &[PathBuf]) -> Option<PathBuf> {
    let is_file = |a: &&PathBuf| a.as_os_str() != "-" && !a.is_dir() && (a.exists() || !is_pattern(a));
    let mut folders = arguments.iter().filter(is_file).map(|a| whole(a).parent().map(Path::to_owned));
    let first = folders.next()??;
    folders.try_fold(None, |common: Option<PathBuf>, folder| {
        let (folder, common) = (folder?, common.as_deref().unwrap_or(&first));
        Some(Some(
            common
                .components()
                .zip(folder.components())
                .take_while(|(a, b)| a == b)
                .map(|(a, _)| a)
                .collect(),
        ))
    })?
}

/// A file, known by its path below `folder`.
fn below(folder: Option<&Path>, file: &Path) -> Input {
    let relative = folder.and_then(|folder| whole(file).strip_prefix(folder).ok().map(Path::to_owned));
    match relative {
        Some(relative) => Input { path: file.to_owned(), relative },
        None => Input::named(file.to_owned()),
    }
}

/// An absolute path without `.` and `..`. Links are not followed, so that names are those the user knows.
fn whole(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut plain = PathBuf::new();
    for part in absolute.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// Says what the search of folders passes over, and returns it.
pub fn report_passed(listing: &Listing) -> PassedOver {
    let (mut passed, masks) = listing.passed_over();
    let place = match &masks[..] {
        [] => None,
        [folder] => Some(folder.display().to_string()),
        [first, ..] => Some(format!("{} folders such as {}", masks.len(), first.display())),
    };
    if let Some(place) = place {
        let files = if passed.masks == 1 { "1 file" } else { &format!("{} files", passed.masks) };
        messages::warn(format!(
            "left out {files} in {place}: masks of a data set; name such a folder to score it"
        ));
    }
    let all = passed.clone();
    passed.masks = 0;
    messages::passed_over(&passed);
    all
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

    /// Matches of a pattern keep their path below the fixed part of the pattern. Brackets that no match needs are
    /// taken as written.
    fn add_pattern(&mut self, pattern: &Path, hidden: bool) {
        let text = pattern.to_string_lossy();
        let (fixed, rest) = fixed_part(pattern);
        let rest = rest.to_string_lossy();
        let (mut files, mut problems) = search(&fixed, &rest, hidden);
        if files.is_empty() && rest.contains('[') {
            (files, problems) = search(&fixed, &rest.replace('[', "[[]"), hidden);
        }
        self.problems.extend(problems.into_iter().map(|problem| format!("`{text}` {problem}")));
        if files.is_empty() {
            self.problems.push(format!("`{text}`: no such file, and no file matches it as a pattern"));
        }
        self.add(files);
    }
}

/// The part of a pattern that exists as it is written, and the rest.
fn fixed_part(pattern: &Path) -> (PathBuf, PathBuf) {
    let mut fixed = PathBuf::new();
    let mut parts = pattern.components();
    loop {
        let rest = parts.as_path().to_owned();
        let Some(part) = parts.next() else { return (fixed, rest) };
        let name = Path::new(part.as_os_str());
        if is_pattern(name) && !fixed.join(name).exists() {
            return (fixed, rest);
        }
        fixed.push(name);
    }
}

/// The files below `fixed` that match, and problems. Wildcards match no hidden name unless `hidden`.
fn search(fixed: &Path, rest: &str, hidden: bool) -> (Vec<Input>, Vec<String>) {
    let whole = Path::new(&Pattern::escape(&fixed.to_string_lossy())).join(rest);
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    match glob::glob(&whole.to_string_lossy()) {
        Err(e) => problems.push(format!("is not a valid pattern: {e}")),
        Ok(matches) => {
            for found in matches {
                match found {
                    Ok(path) if path.is_dir() => {}
                    Ok(path) => {
                        let relative = path.strip_prefix(fixed).unwrap_or(&path).to_owned();
                        if hidden || names_dots(Path::new(rest), &relative) {
                            files.push(Input { path, relative });
                        }
                    }
                    Err(e) => problems.push(format!("cannot be searched: {e}")),
                }
            }
        }
    }
    (files, problems)
}

/// Whether the pattern names the leading dot of every hidden file and folder of a match. (With its option for that, `glob`
/// finds no hidden name at all.)
fn names_dots(pattern: &Path, found: &Path) -> bool {
    let dotted = |part: Component| part.as_os_str().as_encoded_bytes().starts_with(b".");
    let folders = pattern.components().any(|part| part.as_os_str() == "**");
    found.components().zip(pattern.components()).all(|(name, part)| !dotted(name) || dotted(part))
        && !(folders && found.components().any(dotted))
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
        let inputs = expand(&[dir.path().to_owned()], false, std::io::empty());
        assert_eq!(names(&inputs), ["a.JPG", "b.png", "sub/c.webp"]);
        assert!(inputs.problems.is_empty() && many(&[dir.path().to_owned()]));
        // A named file is always tried.
        let inputs = expand(&["x/notes.txt".into()], false, std::io::empty());
        assert_eq!(names(&inputs), ["notes.txt"]);
        assert!(!many(&["x/notes.txt".into()]) && many(&["-".into()]));
    }

    #[test]
    fn several_files_keep_their_path_below_their_common_folder() {
        let of = |files: &[&str]| {
            let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
            names(&expand(&files, false, std::io::empty()))
        };
        assert_eq!(of(&["t/a/1.png", "t/b/1.png"]), ["a/1.png", "b/1.png"]);
        assert_eq!(of(&["t/a/1.png", "./t/a/2.png", "t/a/x/1.png"]), ["1.png", "2.png", "x/1.png"]);
        assert_eq!(of(&["1.png", "b/../b/1.png"]), ["1.png", "b/1.png"]);
        // The folder above the current one has a name, too.
        let here = std::env::current_dir().unwrap();
        let here = here.file_name().unwrap().to_str().unwrap();
        assert_eq!(of(&["1.png", "../1.png"]), [format!("{here}/1.png"), "1.png".to_owned()]);
        // The same file twice is one picture; folders and lists have their own names.
        assert_eq!(of(&["t/a/1.png", "t/a/1.png"]), ["1.png"]);
        assert_eq!(of(&["t/a/1.png", "-"]), ["1.png"]);
    }

    #[test]
    fn patterns_and_lists_keep_folders() {
        let dir = tree();
        let pattern = dir.path().join("*.[pJ]*");
        assert_eq!(names(&expand(&[pattern], false, std::io::empty())), ["a.JPG", "b.png"]);
        let pattern = dir.path().join("s*/*.webp");
        assert_eq!(names(&expand(&[pattern], false, std::io::empty())), ["sub/c.webp"]);
        let list =
            expand(&["-".into(), "-".into()], false, "\u{feff}one.png\r\n\n./sub/two words.png".as_bytes());
        assert_eq!(names(&list), ["one.png", "sub/two words.png"]);
        assert_eq!(list.problems.len(), 1);
        for nothing in ["*.tga", "[", "sub/none*"] {
            let inputs = expand(&[dir.path().join(nothing)], false, std::io::empty());
            assert_eq!((names(&inputs).len(), inputs.problems.len()), (0, 1), "{nothing}");
        }
    }

    #[test]
    fn brackets_may_be_part_of_a_name() {
        let dir = tree();
        for name in ["[2024] line/[1].png", "[2024] line/2.png", "x/[a]/1.png", ".h/1.png", "x/._1.png"] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"").unwrap();
        }
        let of =
            |pattern: &str, hidden| names(&expand(&[dir.path().join(pattern)], hidden, std::io::empty()));
        assert_eq!(of("[2024] line/*.png", false), ["2.png", "[1].png"]);
        assert_eq!(of("[2024] line/[1].png", false), ["[1].png"]);
        assert_eq!(of("[2024] line/[2].png", false), ["2.png"]);
        assert_eq!(of("*/[a]/*.png", false), ["x/[a]/1.png"]);
        // Wildcards are those of a shell.
        assert_eq!(of("x/*.png", false), [""; 0]);
        assert_eq!(of("x/.*.png", false), ["._1.png"]);
        assert_eq!(
            of("*/*.png", true),
            [".h/1.png", "[2024] line/2.png", "[2024] line/[1].png", "x/._1.png"]
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_list_may_hold_any_name() {
        use std::os::unix::ffi::OsStrExt;
        let list = expand(&["-".into()], false, &b"sub/\xff.png\n"[..]);
        let input = list.listing.iter().next().unwrap().unwrap();
        assert_eq!(input.path.as_os_str().as_bytes(), b"sub/\xff.png");
    }
}
