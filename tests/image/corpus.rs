//! A part of the corpus (`tests/reference/corpus`): every picture is right, or refused with one error.

use std::path::Path;

use aaclip::image::{DecodeOptions, decode};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The kind of JPEG files that nothing here reads.
const NOT_READ: &str = "JPEG arithmetic, 12 bits, lossless";

#[test]
fn every_kind_is_right_or_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/corpus");
    let manifest = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let mut wrong = Vec::new();
    let entries = manifest.as_object().unwrap();
    for (name, about) in entries {
        let found = decode(&folder.join(name), &DecodeOptions::default());
        let picture = match found {
            Ok(picture) => picture,
            Err(_) if about["sha256"].is_null() || about["kind"] == NOT_READ => continue,
            Err(e) => {
                wrong.push(e.to_string());
                continue;
            }
        };
        if about["sha256"].is_null() {
            if picture.decoding().warnings().is_empty() {
                wrong.push(format!("{name}: damaged, and nothing is said"));
            }
            continue;
        }
        let rgb = picture.to_rgb();
        let digest: String = Sha256::digest(rgb.as_raw()).iter().map(|b| format!("{b:02x}")).collect();
        if about["sha256"] == digest {
            continue;
        }
        // Kinds with a tolerance have their truth beside them.
        let truth = std::fs::read(folder.join("truth").join(format!("{name}.rgb"))).unwrap_or_default();
        let far = truth.iter().zip(rgb.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
        let size = [u64::from(rgb.width()), u64::from(rgb.height())];
        if size.map(Value::from) != [about["width"].clone(), about["height"].clone()]
            || far.is_none_or(|far| u64::from(far) > about["tolerance"].as_u64().unwrap())
        {
            wrong.push(format!("{name}: differs by {far:?}, size {size:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), entries.len(), wrong.join("\n"));
    assert!(entries.len() > 200);
}
