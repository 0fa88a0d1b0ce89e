use std::path::Path;

use aaclip::batch::Filter;

fn taken(include: &[&str], exclude: &[&str]) -> Vec<&'static str> {
    let owned = |list: &[&str]| list.iter().map(|s| s.to_string()).collect::<Vec<_>>();
    let filter = Filter::new(&owned(include), &owned(exclude)).unwrap();
    let all = [
        "a.png",
        "a.png.heatmap.png",
        "b.JPG",
        "notes.txt",
        "sub/a.png",
        "sub/b.JPG.mask.png",
        "sub/deep/c.webp",
    ];
    let inside = |p: &Path| p.ancestors().skip(1).all(|f| f.as_os_str().is_empty() || filter.enters(f));
    all.into_iter().filter(|p| filter.takes(Path::new(p)) && inside(Path::new(p))).collect()
}

#[test]
fn patterns_choose_names() {
    assert_eq!(taken(&[], &[]), ["a.png", "b.JPG", "sub/a.png", "sub/deep/c.webp"]);
    assert_eq!(taken(&["a.*"], &[]), ["a.png", "sub/a.png"]);
    assert_eq!(taken(&["sub/*"], &[]), ["sub/a.png"]);
    assert_eq!(taken(&["sub/**"], &[]), ["sub/a.png", "sub/deep/c.webp"]);
    assert_eq!(taken(&["*.png", "*.{JPG,txt}"], &["sub/"]), ["a.png", "b.JPG"]);
    assert_eq!(taken(&[], &["deep", "a.png"]), ["b.JPG"]);
    assert_eq!(taken(&["**/a.png"], &[]), ["a.png", "sub/a.png"]);
}

#[test]
fn folders_of_masks_are_not_entered() {
    let filter = Filter::default();
    for (name, enters) in [
        ("capsule/ground_truth", false),
        ("Masks", false),
        ("set/Ground Truth", false),
        ("ISBI2016_ISIC_Part1_Test_GroundTruth", false),
        ("label", true),
        ("masked", true),
        ("face-masks", true),
    ] {
        assert_eq!(filter.enters(Path::new(name)), enters, "{name}");
    }
}

#[test]
fn a_wrong_pattern_is_named() {
    let error = Filter::new(&["[".to_owned()], &[]).unwrap_err().to_string();
    assert!(error.contains("`[`"), "{error}");
}
