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
fn a_wrong_pattern_is_named() {
    let error = Filter::new(&["[".to_owned()], &[]).unwrap_err().to_string();
    assert!(error.contains("`[`"), "{error}");
}
