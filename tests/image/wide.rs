//! TIFF and PNM of every kind, and samples of more than 8 bits (`tests/reference/make_wide_fixtures.py`).

use std::path::{Path, PathBuf};

use aaclip::image::{DecodeOptions, PixelMode, SampleRange, decode, decode_bytes};
use image::{ImageFormat, Luma, Rgb};
use serde_json::Value;

use crate::{encoded, largest};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/wide")
}

fn with(range: &str) -> DecodeOptions {
    let mut options = DecodeOptions::default();
    options.range = range.parse().unwrap();
    options
}

#[test]
fn every_kind_is_the_picture_that_was_written() {
    let text = std::fs::read_to_string(folder().join("expected.json")).unwrap();
    let about: Value = serde_json::from_str(&text).unwrap();
    let truth = |name: &str| -> Vec<u8> {
        let hex = about["truths"][name].as_str().unwrap().as_bytes();
        let digit = |c: u8| char::from(c).to_digit(16).unwrap() as u8;
        hex.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
    };
    let mut wrong = Vec::new();
    for (name, facts) in about["files"].as_object().unwrap() {
        let picture = match decode(&folder().join(name), &DecodeOptions::default()) {
            Ok(picture) => picture,
            Err(e) => {
                wrong.push(e.to_string());
                continue;
            }
        };
        let found = largest(picture.to_rgb().as_raw(), &truth(facts[0].as_str().unwrap()));
        if u64::from(found) > facts[1].as_u64().unwrap() {
            wrong.push(format!("{name}: differs by {found}"));
        }
        let warnings = picture.decoding().warnings();
        match facts[2].as_str() {
            None if warnings.is_empty() => {}
            Some(words) if warnings.iter().any(|w| w.contains(words)) => {}
            expected => wrong.push(format!("{name}: {warnings:?}, expected {expected:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn modes_are_pillows() {
    for (name, mode) in [
        ("bits_group4.tif", PixelMode::Bilevel),
        ("p4.pbm", PixelMode::Bilevel),
        ("packed4.tif", PixelMode::Gray),
        ("p5_wide.pgm", PixelMode::Gray),
        ("palette2.tif", PixelMode::Palette),
        ("grey_alpha.tif", PixelMode::GrayAlpha),
        ("associated.tif", PixelMode::Rgba),
        ("jpeg_ycbcr.tif", PixelMode::Rgb),
    ] {
        assert_eq!(decode(&folder().join(name), &with("auto")).unwrap().mode(), mode, "{name}");
    }
}

/// The rule for integers, in all formats that have them.
#[test]
fn ranges_of_sixteen_bits() {
    let grey =
        |values: [u16; 4]| image::ImageBuffer::<Luma<u16>, _>::from_vec(4, 1, values.to_vec()).unwrap();
    let rgb = image::ImageBuffer::<Rgb<u16>, _>::from_vec(1, 1, vec![0x1234, 0xFF00, 255]).unwrap();
    for format in [ImageFormat::Png, ImageFormat::Tiff] {
        let read = |bytes: &[u8], range: &str| {
            let picture = decode_bytes(bytes, Path::new("x"), &with(range)).unwrap();
            (picture.samples().to_vec(), picture.decoding().range, picture.decoding().warnings().len())
        };
        let full = encoded(&grey([0, 200, 256, 65_535]), format);
        assert_eq!(read(&full, "auto"), (vec![0, 0, 1, 255], Some((0.0, 65_535.0)), 1));
        assert_eq!(read(&full, "full"), (vec![0, 0, 1, 255], Some((0.0, 65_535.0)), 0));
        assert_eq!(read(&full, "reference"), (vec![0, 200, 255, 255], Some((0.0, 255.0)), 1));
        assert_eq!(read(&full, "200:300"), (vec![0, 0, 143, 255], Some((200.0, 300.0)), 0));
        let twelve = encoded(&grey([0, 16, 2048, 4000]), format);
        assert_eq!(read(&twelve, "auto"), (vec![0, 1, 128, 250], Some((0.0, 4095.0)), 1));
        assert_eq!(read(&twelve, "full").0, [0, 0, 8, 15]);
        let ten = encoded(&grey([0, 1, 2, 255]), format);
        assert_eq!(read(&ten, "auto"), (vec![0, 0, 0, 63], Some((0.0, 1023.0)), 1));
        let colours = encoded(&rgb, format);
        assert_eq!(read(&colours, "auto").0, [0x12, 0xFF, 0]);
        assert_eq!(read(&colours, "reference"), (vec![0x12, 0xFF, 0], Some((0.0, 65_535.0)), 0));
        let mask = decode_bytes(&ten, Path::new("x"), &DecodeOptions::default().for_mask()).unwrap();
        assert_eq!(mask.samples(), [0, 255, 255, 255]);
    }
    // Samples of 8 bits are not changed by any range.
    let narrow = encoded(&image::GrayImage::from_vec(2, 1, vec![7, 9]).unwrap(), ImageFormat::Png);
    for range in ["auto", "full", "reference", "0:10"] {
        let picture = decode_bytes(&narrow, Path::new("x"), &with(range)).unwrap();
        assert_eq!(picture.samples(), [7, 9]);
        assert!(picture.decoding().is_plain());
    }
}

/// A grey TIFF of one row of floats.
fn floats(values: &[f32]) -> Vec<u8> {
    let mut file = b"II*\0\x08\0\0\0\x08\0".to_vec();
    let mut field = |tag: u16, kind: u16, value: u32| {
        file.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
        file.extend([1u32.to_le_bytes(), value.to_le_bytes()].concat());
    };
    let bytes = 4 * values.len() as u32;
    field(256, 4, values.len() as u32);
    field(257, 4, 1);
    field(258, 3, 32);
    field(262, 3, 1);
    field(273, 4, 8 + 2 + 12 * 8 + 4);
    field(278, 4, 1);
    field(279, 4, bytes);
    field(339, 3, 3);
    file.extend([0; 4]);
    values.iter().for_each(|v| file.extend(v.to_le_bytes()));
    file
}

#[test]
fn ranges_of_floats() {
    let read = |values: &[f32], range: &str| {
        decode_bytes(&floats(values), Path::new("x"), &with(range))
            .map(|picture| picture.samples().to_vec())
            .map_err(|e| e.to_string())
    };
    assert_eq!(read(&[0.0, 0.5, 1.0], "auto").unwrap(), [0, 128, 255]);
    // Rounding errors of a computation do not make it another range.
    assert_eq!(read(&[-1e-6, 0.5, 1.000_001], "auto").unwrap(), [0, 128, 255]);
    assert_eq!(read(&[0.0, 1.5, 255.0], "auto").unwrap(), [0, 2, 255]);
    assert_eq!(read(&[-100.0, 0.0, 400.0], "-100:400").unwrap(), [0, 51, 255]);
    assert_eq!(read(&[-100.0, f32::NAN, 400.0], "-100:400").unwrap(), [0, 0, 255]);
    assert_eq!(read(&[0.0, 0.6, 300.0], "reference").unwrap(), [0, 0, 255]);
    for (values, range, words) in [
        (&[0.0, 300.0][..], "auto", "its values go from 0 to 300"),
        (&[-0.5, 0.5][..], "auto", "its values go from -0.5 to 0.5"),
        (&[0.0, f32::NAN][..], "auto", "not numbers"),
        (&[0.0, f32::INFINITY][..], "auto", "its values go from 0 to inf"),
        (&[0.0, 1.0][..], "full", "no full range"),
    ] {
        let error = read(values, range).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn ranges_by_name() {
    for (text, range) in [
        ("auto", SampleRange::Auto),
        ("full", SampleRange::Full),
        ("reference", SampleRange::Reference),
        ("0:4095", SampleRange::Given { min: 0.0, max: 4095.0 }),
        ("-0.5:1e3", SampleRange::Given { min: -0.5, max: 1000.0 }),
    ] {
        assert_eq!(text.parse(), Ok(range));
        assert_eq!(range.name().parse(), Ok(range));
    }
    for text in ["", "clip", "5", "5:5", "9:1", "nan:1", "0:inf", "0:1:2", "nonzero"] {
        assert!(text.parse::<SampleRange>().is_err(), "{text}");
    }
}

#[test]
fn what_is_not_read_is_named() {
    let refused = |bytes: &[u8]| {
        decode_bytes(bytes, Path::new("x"), &DecodeOptions::default()).unwrap_err().to_string()
    };
    for (bytes, words) in [
        (&b"\0\0\0\x0cjP  \r\n\x87\n\0\0"[..], "x is not read: it is JPEG 2000; convert it to PNG or TIFF"),
        (&b"\0\0\0\x1cftypavif\0\0\0\0"[..], "AVIF"),
        (&b"\0\0\0\x1cftypheic\0\0\0\0"[..], "HEIC"),
        (&[&[0; 128][..], b"DICM\x02\0"].concat()[..], "DICOM"),
        (&b"P7\nWIDTH 1\n"[..], "PAM"),
    ] {
        assert!(refused(bytes).contains(words), "{}", refused(bytes));
    }
    // The compression of a TIFF, then its colours and further fields; and damage.
    let good = std::fs::read(folder().join("big.tif")).unwrap();
    let field = |tag: u16, value: u16| {
        let mut bytes = good.clone();
        let count = u64::from_le_bytes(good[16..24].try_into().unwrap()) as usize;
        let at = (0..count).map(|i| 24 + 20 * i).find(|&at| good[at..at + 2] == tag.to_le_bytes()).unwrap();
        bytes[at + 12..at + 14].copy_from_slice(&value.to_le_bytes());
        bytes
    };
    for (bytes, words) in [
        (field(259, 34_712), "JPEG 2000 compression is not read"),
        (field(259, 34_887), "LERC compression is not read"),
        (field(259, 6), "old-style JPEG compression is not read"),
        (field(259, 999), "compression 999 is not read"),
        (field(262, 8), "L*a*b* are not read"),
        (field(262, 32_803), "raw camera data is not read"),
        (field(262, 5), "its colours need 4"),
        (field(256, 0), "its width is missing or impossible"),
        (good[..good.len() - 9].to_vec(), "outside of the file"),
        (good[..30].to_vec(), "first page is cut off"),
        (b"P5 2 2 255\n123".to_vec(), "ends before the end"),
        (b"P2 2 2 9\n1 2 3 44".to_vec(), "values above 9"),
        (b"P6 9 x".to_vec(), "header is damaged"),
    ] {
        let error = refused(&bytes);
        assert!(error.contains(words), "{words}: {error}");
    }
}
