use std::path::Path;

use aaclip::batch::{Manifest, Shard};
use aaclip::journal::JournalError;
use aaclip::{Error, Provenance};

fn manifest(class: &str) -> Manifest {
    let mut settings = Provenance::default();
    settings.set("class", class);
    Manifest::new(settings)
}

#[test]
fn a_folder_belongs_to_its_settings() {
    let dir = tempfile::tempdir().unwrap();
    let claim = |m: &Manifest| m.claim(dir.path(), None, false);
    let first = Manifest { started_in: "/first".into(), ..manifest("bottle") };
    assert_eq!(claim(&first).unwrap(), Path::new("/first"));
    // The same run may be started from elsewhere: paths in its results start where it was started first.
    assert_eq!(claim(&manifest("bottle")).unwrap(), Path::new("/first"));
    let error = claim(&manifest("screw")).unwrap_err().to_string();
    assert!(error.contains("class: bottle there, screw here"), "{error}");
    let newer = Manifest { program: "aaclip 99".into(), ..manifest("bottle") };
    let error = claim(&newer).unwrap_err().to_string();
    assert!(error.contains("there, aaclip 99"), "{error}");
}

#[test]
fn results_without_a_readable_manifest_are_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        manifest("a").claim(dir.path(), None, true),
        Err(Error::Journal(JournalError::Damaged { .. }))
    ));
    std::fs::write(dir.path().join("manifest.json"), "{").unwrap();
    let error = manifest("a").claim(dir.path(), None, false).unwrap_err().to_string();
    assert!(error.contains("manifest.json"), "{error}");
}

#[test]
fn the_parts_of_a_run_have_the_same_settings() {
    let dir = tempfile::tempdir().unwrap();
    let part = |index, count| Shard::new(index, count);
    let claim = |class: &str, shard| {
        manifest(class).claim(dir.path(), shard, false).map_err(|error| error.to_string())
    };
    claim("nut", part(0, 2)).unwrap();
    claim("nut", part(1, 2)).unwrap();
    let error = claim("screw", part(1, 2)).unwrap_err();
    assert!(error.contains("manifest-0-of-2.json") && error.contains("nut there, screw here"), "{error}");
    for (shard, here) in [(None, "a whole run"), (part(0, 3), "part 0-of-3")] {
        let error = claim("nut", shard).unwrap_err();
        assert!(error.contains("-of-2") && error.contains(here), "{error}");
    }
}
