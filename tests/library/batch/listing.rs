use aaclip::batch::{BatchError, Filter, Input, Listing, Root, Shard};

fn tree(names: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in names {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, b"").unwrap();
    }
    dir
}

fn found(listing: &Listing) -> (Vec<String>, Vec<String>) {
    let (mut names, mut problems) = (Vec::new(), Vec::new());
    for found in listing.iter() {
        match found {
            Ok(input) => names.push(String::from_utf8(input.name()).unwrap()),
            Err(problem) => problems.push(problem.to_string()),
        }
    }
    (names, problems)
}

#[test]
fn folders_are_searched_in_a_stable_order() {
    let dir = tree(&["b.png", "a.JPG", "notes.txt", "sub/c.webp", "out/a.png.heatmap.png"]);
    let mut listing = Listing {
        roots: vec![Root::Folder(dir.path().to_owned())],
        skip: Some(dir.path().join("sub/../out")),
        ..Listing::default()
    };
    assert_eq!(found(&listing), (["a.JPG", "b.png", "sub/c.webp"].map(String::from).into(), vec![]));
    // Twice the same.
    assert_eq!(found(&listing), found(&listing));
    let whole = found(&listing).0;
    let mut parts: Vec<String> = Vec::new();
    for index in 0..3 {
        listing.shard = Shard::new(index, 3);
        parts.extend(found(&listing).0);
    }
    parts.sort();
    assert_eq!(parts, whole);
}

#[test]
fn nothing_found_is_a_problem() {
    let dir = tree(&["notes.txt"]);
    let gone = dir.path().join("gone");
    let filter = Filter::new(&["x*".to_owned()], &[]).unwrap();
    let roots = vec![Root::Folder(dir.path().to_owned()), Root::Folder(gone)];
    let (names, problems) = found(&Listing { roots, filter, ..Listing::default() });
    assert!(names.is_empty() && problems.len() == 2, "{problems:?}");
    assert!(problems[0].contains("--include x*") && problems[1].contains("gone"), "{problems:?}");
}

#[cfg(unix)]
#[test]
fn links_in_a_circle_are_a_problem_not_a_hang() {
    let dir = tree(&["sub/a.png"]);
    std::os::unix::fs::symlink(dir.path(), dir.path().join("sub/loop")).unwrap();
    std::os::unix::fs::symlink("nowhere.png", dir.path().join("dangling.png")).unwrap();
    let roots = vec![Root::Folder(dir.path().to_owned())];
    let (names, problems) = found(&Listing { roots, ..Listing::default() });
    assert_eq!(names, ["sub/a.png"]);
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[test]
fn two_of_one_name_are_told_before_anything_else() {
    let files = |paths: &[&str]| Listing {
        roots: vec![Root::Files(paths.iter().map(|p| Input::named(p.into())).collect())],
        ..Listing::default()
    };
    // The same picture counts once.
    assert_eq!(files(&["d/a.png", "d/a.jpg", "d/a.png", "./d/a.png"]).check().unwrap(), 2);
    let error = files(&["d/a.png", "b.png", "e/a.png"]).check().unwrap_err().to_string();
    assert!(error.contains("d/a.png") && error.contains("e/a.png"), "{error}");
}

#[test]
fn an_output_folder_is_left_out_but_may_not_be_searched_itself() {
    let dir = tree(&["a.png", "out/a.png.heatmap.png"]);
    let mut listing = Listing { roots: vec![Root::Folder(dir.path().to_owned())], ..Listing::default() };
    listing.keep_out(&dir.path().join("out")).unwrap();
    assert_eq!(listing.check().unwrap(), 1);
    assert!(matches!(listing.keep_out(dir.path()), Err(BatchError::OutputIsInput { .. })));
}

#[test]
fn each_picture_once_and_none_that_was_painted() {
    let dir = tree(&["a.png", "sub/b.png", "sub/b.png.overlay.png", "b.png.overlay.png"]);
    let named = |names: &[&str]| names.iter().map(|n| Input::named(dir.path().join(n))).collect();
    let mut listing = Listing {
        roots: vec![
            Root::Files(named(&["sub/b.png", "b.png.overlay.png"])),
            Root::Folder(dir.path().to_owned()),
            Root::Folder(dir.path().to_owned()),
        ],
        ..Listing::default()
    };
    // A named file is examined, unless this run writes there.
    assert_eq!(found(&listing).0, ["b.png", "b.png.overlay.png", "a.png"]);
    listing.roots.truncate(1);
    listing.skip = Some(dir.path().to_owned());
    assert_eq!(found(&listing).0, ["b.png"]);
}

#[test]
fn names_lead_nowhere() {
    let input = Input { path: "x".into(), relative: "../../a/./b.png".into() };
    assert_eq!((input.inside(), input.name()), ("a/b.png".into(), b"a/b.png".to_vec()));
    assert_eq!(Input::named("/tmp/a/b.png".into()).name(), b"b.png");
}
