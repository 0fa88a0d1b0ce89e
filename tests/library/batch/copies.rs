use aaclip::Error;
use aaclip::batch::{BatchError, Copies, Filter, Input, Listing, Root};

#[test]
fn a_folder_of_copies_is_not_searched() {
    let dir = tempfile::tempdir().unwrap();
    let searched = dir.path().join("in");
    std::fs::create_dir_all(searched.join("bad")).unwrap();
    let mut listing = Listing { roots: vec![Root::Folder(searched.clone())], ..Listing::default() };
    let is_refused = |listing: &Listing, name: &str| {
        matches!(Copies::new(dir.path().join(name), listing), Err(BatchError::CopiesInInput { .. }))
    };
    for (name, refused) in
        [("in", true), ("in/bad", true), ("in/new/bad", true), ("in2", false), (".", false)]
    {
        assert_eq!(is_refused(&listing, name), refused, "{name}");
    }
    listing.filter = Filter::new(&[], &["bad".to_owned()]).unwrap();
    assert!(!is_refused(&listing, "in/bad/deep") && is_refused(&listing, "in/new"));
    listing.keep_out(&searched.join("out")).unwrap();
    assert!(!is_refused(&listing, "in/out/bad") && is_refused(&listing, "in/new"));
}

/// From a file system in memory, where no hard link is possible.
#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_linked_is_copied() {
    let Ok(memory) = tempfile::tempdir_in("/dev/shm") else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = memory.path().join("a.png");
    std::fs::write(&path, b"content").unwrap();
    let copies = Copies::new(dir.path().join("bad"), &Listing::default()).unwrap();
    let input = Input { path: path.clone(), relative: "sub/a.png".into() };
    for _ in 0..2 {
        copies.add(&input).unwrap();
    }
    let copy = dir.path().join("bad/sub/a.png");
    assert_eq!(std::fs::read(&copy).unwrap(), b"content");
    assert_eq!(std::fs::read_dir(copy.parent().unwrap()).unwrap().count(), 1);
    std::fs::write(&path, b"another").unwrap();
    assert!(matches!(copies.add(&input), Err(Error::Batch(BatchError::OtherCopy { .. }))));
    assert_eq!(std::fs::read(&copy).unwrap(), b"content");
}
