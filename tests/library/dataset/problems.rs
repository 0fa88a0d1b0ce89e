use std::sync::atomic::{AtomicUsize, Ordering};

use super::ProblemKind::*;
use super::*;

#[track_caller]
fn assert_problems(tree: &Tree, samples: usize, expected: &[(ProblemKind, &str)]) -> Dataset {
    let data = tree.open();
    let expected: Vec<_> = expected.iter().map(|(kind, name)| (*kind, (*name).to_owned())).collect();
    let names: Vec<&str> = data.samples.iter().map(|s| &s.name[..]).collect();
    assert_eq!(found(&data.problems), expected);
    assert_eq!(data.samples.len(), samples, "{names:?}");
    data
}

#[test]
fn missing_masks() {
    // In the same folder, in a class without any, in a kind without any.
    let tree = Tree::with(&[
        "a/test/good/0.png",
        "a/test/cut/0.png",
        "a/test/cut/1.png",
        "a/ground_truth/cut/0_mask.png",
        "a/test/hole/2.png",
        "b/test/good/0.png",
        "b/test/cut/3.png",
    ]);
    let data =
        assert_problems(&tree, 6, &[(MissingMask, "1.png"), (MissingMask, "2.png"), (MissingMask, "3.png")]);
    assert_eq!(data.samples[1].mask, Mask::Unlabelled);
    let line = data.problems[0].to_string();
    assert!(
        line.contains("a/test/cut/1.png: no 1_mask or 1 (") && line.contains("ground_truth/cut"),
        "{line}"
    );

    // An empty folder of masks promises masks.
    let tree = Tree::with(&["good/1.png", "defect/2.png"]);
    std::fs::create_dir(tree.file("masks")).unwrap();
    assert_problems(&tree, 2, &[(MissingMask, "2.png")]);

    let tree = Tree::with(&["set/images/1.png", "set/masks/2.png"]);
    assert_problems(&tree, 1, &[(OrphanMask, "2.png"), (MissingMask, "1.png")]);

    let rows = "object,split,label,image,mask\nx,test,anomaly,x/1.png,x/m.png\nx,test,anomaly,x/2.png,x/3.png\n\
        x,test,anomaly,x/4.png,\n";
    let tree = Tree::with(&["x/1.png", "x/m.png", "x/2.png", "x/4.png"]);
    tree.text("split_csv/1cls.csv", rows);
    assert_problems(&tree, 3, &[(MissingMask, "2.png"), (MissingMask, "4.png")]);
}

#[test]
fn orphan_and_second_masks() {
    let tree = Tree::with(&[
        "a/test/good/0.png",
        "a/test/cut/0.png",
        "a/ground_truth/cut/0_mask.png",
        "a/ground_truth/cut/0.png",
        "a/ground_truth/cut/9_mask.png",
        "a/ground_truth/dent/7_mask.png",
    ]);
    let data = assert_problems(
        &tree,
        2,
        &[(Duplicate, "0.png"), (OrphanMask, "9_mask.png"), (OrphanMask, "7_mask.png")],
    );
    assert_eq!(data.samples[0].mask, Mask::File(tree.file("a/ground_truth/cut/0_mask.png")));
}

#[test]
fn tables_that_do_not_fit_their_pictures() {
    let tree = Tree::with(&["head_ct/000.png", "head_ct/007.png", "head_ct/x.png"]);
    tree.text("labels.csv", "id, hemorrhage\n0,0\n0,1\n5,1\n6,2\nz,1\n");
    let expected = [
        (BadLine, "labels.csv"),
        (BadLine, "labels.csv"),
        (BadLine, "labels.csv"),
        (MissingLabel, "007.png"),
        (MissingLabel, "x.png"),
        (MissingPicture, "005.png"),
    ];
    let data = assert_problems(&tree, 1, &expected);
    assert!(data.problems[1].detail.starts_with("line 5: "), "{}", data.problems[1]);

    let tree = Tree::with(&["x/1.png"]);
    tree.text(
        "split_csv/1cls.csv",
        b"object,split,label,image,mask\nx,test,normal,x/0.png,\nx,test,odd,x/1.png,\nx,test,normal,../1.png,\n\
          ,test,normal,x/1.png,\nx,test,normal,\xff,\nx,test\nx,test,normal,x/1.png,\n",
    );
    let bad = (BadLine, "1cls.csv");
    assert_problems(&tree, 1, &[(MissingPicture, "0.png"), bad, bad, bad, bad, bad]);
}

#[test]
fn folders_that_are_not_read() {
    let tree = Tree::with(&[
        "a/test/good/0.png",
        "a/test/good/more/0.png",
        "a/test/stray.png",
        "b/train/good/0.png",
    ]);
    std::fs::create_dir_all(tree.file("c/test/good")).unwrap();
    let expected =
        [(EmptyClass, "b"), (MissingLabel, "stray.png"), (UnreadFolder, "more"), (EmptyClass, "c")];
    assert_problems(&tree, 1, &expected);
    let tree = Tree::with(&["good/0.png", "defect/0.png", "scratch/0.png", "stray.png"]);
    assert_problems(&tree, 2, &[(MissingLabel, "stray.png"), (UnreadFolder, "scratch")]);
    let tree = Tree::with(&["good/0.png", "defect/0.png"]);
    std::fs::create_dir(tree.file("bad")).unwrap();
    assert_problems(&tree, 2, &[(EmptyClass, "bad")]);
}

#[test]
fn what_only_decoding_tells() {
    let tree = Tree::with(&["good/1.png", "defect/2.png", "defect/3.png", "defect/4.png", "defect/5.png"]);
    tree.text("good/0.png", "");
    tree.text("defect/6.png", "text");
    for (name, side, corner) in [("2", 2, 9), ("3", 2, 0), ("6", 1, 9)] {
        tree.picture(&format!("masks/{name}.png"), side, 3, corner);
    }
    tree.picture("masks/4.png", 3, 2, 1);
    tree.text("masks/5.png", "text");
    let data = assert_problems(&tree, 7, &[]);
    let seen = AtomicUsize::new(0);
    let count = || {
        seen.fetch_add(1, Ordering::Relaxed);
    };
    let problems = data.check(&Default::default(), count);
    let expected = [
        (EmptyMask, "3.png"),
        (OddSize, "4.png"),
        (UnreadableMask, "5.png"),
        (UnreadablePicture, "6.png"),
        (UnreadablePicture, "0.png"),
    ];
    assert_eq!(found(&problems), expected.map(|(kind, name)| (kind, name.to_owned())));
    assert_eq!(seen.into_inner(), 7);
    let line = problems[1].to_string();
    assert!(line.starts_with("odd size: ") && line.contains("3 x 2 pixels, but its picture "), "{line}");
    assert!(problems[4].to_string().ends_with("good/0.png: it is empty"), "{}", problems[4]);
}

#[test]
fn every_colour_but_black_marks_damage() {
    let tree = Tree::with(&["good/1.png", "defect/2.png", "masks/x.png"]);
    let save = |rgb: [u8; 3]| {
        image::RgbImage::from_pixel(2, 3, image::Rgb(rgb)).save(tree.file("masks/2.png")).unwrap();
        tree.open().check(&Default::default(), || {}).len()
    };
    assert_eq!([save([0, 0, 2]), save([0, 0, 8]), save([1, 0, 1]), save([0; 3])], [0, 0, 0, 1]);
}

#[test]
fn a_problem_is_one_line() {
    let problem = Problem { path: "a\nb\u{1b}[31m.png".into(), kind: MissingMask, detail: "x\ty".into() };
    assert_eq!(problem.to_string(), "missing mask: a\\nb\\u{1b}[31m.png: x\\ty");
}

#[cfg(unix)]
#[test]
fn links_that_lead_back_or_nowhere() {
    let tree = Tree::with(&["good/1.png", "defect/2.png"]);
    std::os::unix::fs::symlink(tree.path(), tree.file("good/up")).unwrap();
    std::os::unix::fs::symlink(tree.file("gone"), tree.file("good/3.png")).unwrap();
    std::os::unix::fs::symlink("loop", tree.file("loop")).unwrap();
    let data = assert_problems(&tree, 3, &[(UnreadFolder, "up")]);
    assert_eq!(found(&data.check(&Default::default(), || {})), [(UnreadablePicture, "3.png".to_owned())]);
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_unicode_stay_apart() {
    use std::os::unix::ffi::OsStrExt;
    let tree = Tree::with(&["good/1.png", "defect/2.png"]);
    for name in [&b"\xff.png"[..], b"\xfe.png"] {
        std::fs::copy(tree.file("good/1.png"), tree.file("good").join(std::ffi::OsStr::from_bytes(name)))
            .unwrap();
    }
    let data = tree.open();
    let names: std::collections::HashSet<&str> = data.samples.iter().map(|s| &s.name[..]).collect();
    assert_eq!((names.len(), data.check(&Default::default(), || {})), (4, vec![]));
}

#[test]
fn errors() {
    let gone = Dataset::open(Path::new("no/such/folder"), None).unwrap_err();
    assert!(matches!(gone, DatasetError::NotFound { .. }));
    let unreadable = Dataset::open(Path::new("nul\0byte"), None).unwrap_err();
    assert!(matches!(unreadable, DatasetError::Io { .. }), "{unreadable}");
    let tree = Tree::with(&["inner/x/1.png"]);
    let error = tree.refused();
    assert!(matches!(error, DatasetError::UnknownLayout { .. }));
    let text = error.to_string();
    assert!(Layout::ALL.iter().all(|l| text.contains(l.name())) && text.contains("inner?)"), "{text}");
    let file = tree.file("inner/x/1.png");
    assert!(matches!(Dataset::open(&file, None), Err(DatasetError::UnknownLayout { .. })));
    for layout in Layout::ALL {
        let error = Dataset::open(tree.path(), Some(layout)).unwrap_err();
        assert!(matches!(error, DatasetError::WrongLayout { .. }), "{error}");
        let error = Dataset::open(&file, Some(layout)).unwrap_err();
        if layout.is_metadata() {
            assert!(matches!(error, DatasetError::WrongLayout { .. }), "{error}");
        } else {
            assert!(matches!(error, DatasetError::NotAFolder { .. }), "{error}");
        }
        assert_eq!(layout.name().to_uppercase().replace('-', "_").parse::<Layout>().unwrap(), layout);
    }
    let error = "mvtek".parse::<Layout>().unwrap_err();
    assert!(
        matches!(error, DatasetError::UnknownLayoutName { .. }) && error.to_string().contains("mvtec-ad-2")
    );

    let tree = Tree::new();
    std::fs::create_dir_all(tree.file("a/test/good")).unwrap();
    let error = tree.refused();
    assert!(
        matches!(error, DatasetError::NoPictures { .. }) && error.to_string().contains("empty class"),
        "{error}"
    );
    tree.text("one.jsonl", "");
    tree.text("two.jsonl", "");
    std::fs::remove_dir_all(tree.file("a")).unwrap();
    assert!(tree.refused().to_string().contains("2 .jsonl files"));
}
