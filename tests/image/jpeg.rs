//! JPEG files that other decoders get wrong: right, refused, or with a warning; never wrong in silence.

use std::path::Path;

use aaclip::image::{DecodeOptions, Picture, decode, decode_bytes};

/// A file of the corpus, equal to what libjpeg decodes (`every_kind_is_right_or_refused`).
fn file(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/corpus").join(name)).unwrap()
}

fn picture(bytes: &[u8]) -> Result<Picture, String> {
    let found = decode_bytes(bytes, Path::new("x.jpg"), &DecodeOptions::default());
    found.map_err(|e| e.to_string())
}

/// Where a marker's segment begins.
fn segment(bytes: &[u8], marker: u8) -> usize {
    let mut at = 2;
    while bytes[at + 1] != marker {
        at += 2 + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
    }
    at
}

/// Names of files of every kind of scan.
fn examples() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/corpus");
    let manifest = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let is_scan = |kind: &str| kind.starts_with("JPEG baseline") || kind.starts_with("JPEG progressive");
    let entries = manifest.as_object().unwrap();
    let names = entries.iter().filter(|(_, about)| is_scan(about["kind"].as_str().unwrap()));
    names.map(|(name, _)| name.clone()).collect()
}

#[test]
fn a_file_that_ends_early_is_refused_unless_every_pixel_is_there() {
    let names = examples();
    assert!(names.len() > 20);
    for name in names {
        let bytes = file(&name);
        let whole = picture(&bytes).unwrap();
        assert!(whole.decoding().warnings().is_empty(), "{name}");
        for length in (2..bytes.len()).step_by(7).chain(bytes.len() - 20..bytes.len()) {
            for end in [&b""[..], b"\xff\xd9"] {
                let Ok(cut) = picture(&[&bytes[..length], end].concat()) else { continue };
                let said = !cut.decoding().warnings().is_empty();
                // The end mark was put back.
                let mended = length >= bytes.len() - 2 && !end.is_empty();
                assert!(said || mended, "{name}: {length} of {} bytes, nothing said", bytes.len());
                // Progressive pictures lack the last scans; others are complete.
                assert!(name.contains("progressive") || cut.samples() == whole.samples(), "{name}: {length}");
            }
        }
    }
}

#[test]
fn most_damage_of_the_data_is_noticed() {
    let (mut noticed, mut tried) = (0, 0);
    for name in examples() {
        let bytes = file(&name);
        let start = segment(&bytes, 0xDA) + 14;
        for at in (start..bytes.len() - 2).step_by(41) {
            let mut changed = bytes.clone();
            changed[at] ^= 0x55;
            tried += 1;
            noticed += usize::from(!picture(&changed).is_ok_and(|p| p.decoding().warnings().is_empty()));
        }
    }
    // A changed byte often is other valid data: nobody can see that.
    println!("{noticed} of {tried} noticed");
    assert!(noticed > tried / 2, "{noticed} of {tried} noticed");
}

#[test]
fn bytes_that_belong_to_no_pixel_are_said() {
    let bytes = file(&examples()[0]);
    let end = bytes.len() - 2;
    let padded = [&bytes[..end], &[0x12; 5][..], &bytes[end..]].concat();
    let found = picture(&padded).unwrap();
    assert_eq!(found.samples(), picture(&bytes).unwrap().samples());
    let warning = "5 bytes among the data belong to no pixel: the file may be damaged";
    assert_eq!(found.decoding().warnings(), [warning]);
    let open = picture(&bytes[..end]).unwrap();
    assert_eq!(open.decoding().warnings(), ["the mark at the end of the file is missing"]);
    // What follows the end is not looked at, as in files with several pictures.
    let trailing = picture(&[&bytes[..], &bytes[..]].concat()).unwrap();
    assert!(trailing.decoding().warnings().is_empty());
}

#[test]
fn restart_marks_must_come_in_turn() {
    let name = examples().into_iter().find(|name| name.ends_with("-restart.jpg")).unwrap();
    let bytes = file(&name);
    let data = segment(&bytes, 0xDA);
    let mark = |number: u8| data + bytes[data..].windows(2).position(|w| w == [0xFF, 0xD0 + number]).unwrap();
    let mut swapped = bytes.clone();
    (swapped[mark(0) + 1], swapped[mark(1) + 1]) = (0xD1, 0xD0);
    assert!(picture(&swapped).unwrap_err().contains("restart mark"));
    let mut gone = bytes.clone();
    gone.drain(mark(0)..mark(1));
    assert!(picture(&gone).is_err());
}

#[test]
fn tables_are_checked() {
    let bytes = file(&examples()[0]);
    for (marker, place) in [(0xDB, 0), (0xC4, 0), (0xC4, 1)] {
        let mut changed = bytes.clone();
        let body = segment(&bytes, marker) + 4 + place;
        changed[body] = 0xFF;
        assert!(picture(&changed).is_err(), "{marker:x}");
    }
    let mut fraction = bytes.clone();
    let frame = segment(&bytes, 0xC0);
    (fraction[frame + 11], fraction[frame + 14]) = (0x31, 0x21);
    assert!(picture(&fraction).unwrap_err().contains("differ by a fraction"));
}

/// Files made after public bug reports. All are one picture.
#[test]
fn known_cases() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/cases");
    if !cases.is_dir() {
        return crate::support::skip(&format!("{} does not exist", cases.display()));
    }
    let read = |name: &str| decode(&cases.join(name), &DecodeOptions::default());
    let truth = read("base.png").unwrap();
    for name in ["ni_ycc_420", "psmp_1x1_2x1_2x1", "jpg_mjpeg_nodht"] {
        let found = read(&format!("jpeg/{name}.jpg")).unwrap();
        assert_eq!((found.width(), found.height()), (truth.width(), truth.height()));
        let far: u64 =
            found.samples().iter().zip(truth.samples()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        let mean = far as f64 / truth.samples().len() as f64;
        assert!(mean < 4.0, "{name}: {mean} on average");
        assert!(found.decoding().warnings().is_empty());
    }
    for (name, reason) in [
        ("jpg_arith", "JPEGs with arithmetic codes are not supported"),
        ("jpg_12bit", "JPEGs of 12 bits per sample are not supported"),
        ("jpg_truncated_eoi", "the file ends before the end of the picture"),
    ] {
        let error = read(&format!("jpeg/{name}.jpg")).unwrap_err().to_string();
        assert!(error.ends_with(&format!("damaged or not supported (JPEG): {reason}")), "{error}");
    }
    let turned = read("png_exif6_after_idat.png").unwrap();
    assert_eq!((turned.width(), turned.height()), (truth.height(), truth.width()));
    assert_eq!(turned.decoding().orientation, 6);
}
