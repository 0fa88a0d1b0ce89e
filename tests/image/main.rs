//! Decoding: Pillow's word on every mode (`tests/reference/make_image_fixtures.py`), orientation, depth, damage.

#[path = "../support/mod.rs"]
mod support;

mod corpus;
mod jpeg;
mod wide;

use std::io::Cursor;
use std::path::{Path, PathBuf};

use aaclip::image::{Chain, DecodeOptions, Fit, ImageError, PixelMode, Preprocess, decode, decode_bytes};
use image::{ImageBuffer, ImageFormat, Rgb, RgbImage};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/images")
}

fn bytes_of(value: &serde_json::Value) -> Vec<u8> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u8).collect()
}

fn largest(found: &[u8], expected: &[u8]) -> u8 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

#[test]
fn every_format_and_mode_as_pillow_reads_it() {
    let expected: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder().join("modes.json")).unwrap()).unwrap();
    let mut wrong = Vec::new();
    for (name, about) in expected.as_object().unwrap() {
        let picture = match decode(&folder().join(name), &DecodeOptions::default()) {
            Ok(picture) => picture,
            Err(e) => {
                wrong.push(e.to_string());
                continue;
            }
        };
        let mode = match picture.mode() {
            PixelMode::Bilevel => "1",
            PixelMode::Palette => "P",
            PixelMode::Gray => "L",
            PixelMode::GrayAlpha => "LA",
            PixelMode::Rgb => "RGB",
            PixelMode::Rgba => "RGBA",
        };
        if about["mode"] != mode {
            wrong.push(format!("{name}: mode {mode}, Pillow has {}", about["mode"]));
        }
        // JPEG decoders may differ by a level or two; everything else is exact.
        let tolerance = if name.ends_with(".jpg") { 2 } else { 0 };
        let rgb = largest(picture.to_rgb().as_raw(), &bytes_of(&about["rgb"]));
        let unit = Preprocess {
            size: 7,
            patch: 7,
            mean: [0.0; 3],
            std: [1.0; 3],
            fit: Fit::Squash,
            chain: Chain::ResizeThenRgb,
        };
        let tensor = unit.run(&picture).unwrap().tensor;
        let small: Vec<u8> =
            (0..7 * 7 * 3).map(|i| (tensor[(i % 3, i / 21, i / 3 % 7)] * 255.0).round() as u8).collect();
        let clipad = largest(&small, &bytes_of(&about["clipad"]));
        println!("{name:24} {mode:4} differs by {rgb}, resized by {clipad}");
        if rgb > tolerance || clipad > tolerance {
            wrong.push(format!("{name}: differs by {rgb}, resized by {clipad}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A JPEG whose EXIF data says `orientation`.
fn jpeg_with_orientation(image: &RgbImage, orientation: u8) -> Vec<u8> {
    let mut plain = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut plain, 100).encode_image(image).unwrap();
    let mut tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    tiff.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    let mut segment = vec![0xFF, 0xE1];
    segment.extend((8 + tiff.len() as u16).to_be_bytes());
    segment.extend(b"Exif\0\0");
    segment.extend(tiff);
    plain.splice(2..2, segment);
    plain
}

#[test]
fn all_eight_orientations_are_turned_upright() {
    // The stored upper left corner is red, the rest blue.
    let stored =
        RgbImage::from_fn(
            48,
            32,
            |x, y| if x < 16 && y < 16 { Rgb([250, 10, 10]) } else { Rgb([10, 10, 250]) },
        );
    for (orientation, swapped, corner) in [
        (1, false, (0, 0)),
        (2, false, (1, 0)),
        (3, false, (1, 1)),
        (4, false, (0, 1)),
        (5, true, (0, 0)),
        (6, true, (1, 0)),
        (7, true, (1, 1)),
        (8, true, (0, 1)),
    ] {
        let bytes = jpeg_with_orientation(&stored, orientation);
        let picture = decode_bytes(&bytes, Path::new("x.jpg"), &DecodeOptions::default()).unwrap();
        let (w, h) = (picture.width() as u32, picture.height() as u32);
        assert_eq!((w, h), if swapped { (32, 48) } else { (48, 32) }, "orientation {orientation}");
        let rgb = picture.to_rgb();
        for (cx, cy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            let pixel = rgb.get_pixel(if cx == 0 { 4 } else { w - 5 }, if cy == 0 { 4 } else { h - 5 });
            assert_eq!(pixel.0[0] > 128, (cx, cy) == corner, "orientation {orientation}, corner {cx} {cy}");
        }
    }
}

fn encoded<P, C>(image: &ImageBuffer<P, C>, format: ImageFormat) -> Vec<u8>
where
    P: image::PixelWithColorType,
    [P::Subpixel]: image::EncodableLayout,
    C: std::ops::Deref<Target = [P::Subpixel]>,
{
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

#[test]
fn limits_hold_before_pixels_are_read() {
    let bytes = encoded(&RgbImage::new(100, 50), ImageFormat::Png);
    let mut options = DecodeOptions::default();
    options.limits.max_pixels = 4_999;
    let error = decode_bytes(&bytes, Path::new("x.png"), &options).unwrap_err();
    assert!(matches!(error, ImageError::TooLarge { width: 100, height: 50, .. }), "{error}");
    options.limits.max_pixels = 5_000;
    assert!(decode_bytes(&bytes, Path::new("x.png"), &options).is_ok());
    options.limits.max_bytes = 14_999;
    assert!(matches!(decode_bytes(&bytes, Path::new("x.png"), &options), Err(ImageError::TooLarge { .. })));
    options.limits.max_bytes = 10;
    assert!(matches!(decode(&folder().join("rgb.png"), &options), Err(ImageError::FileTooLarge { .. })));
}

/// Changed bytes give a picture or an error: no panic, and nothing larger than the limits.
#[test]
fn mutated_pictures_never_panic() {
    let mut seed = 0x2545_F491_4F6C_DD1Du64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    let mut options = DecodeOptions::default();
    options.limits.max_pixels = 1_000_000;
    options.limits.max_bytes = 16_000_000;
    let (mut pictures, mut errors) = (0, 0);
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let good = std::fs::read(&path).unwrap();
        for _ in 0..300 {
            let mut bytes = good.clone();
            for _ in 0..1 + random(5) {
                let at = random(bytes.len());
                match random(4) {
                    0 => bytes[at] = random(256) as u8,
                    1 => bytes.truncate(at.max(1)),
                    2 => bytes.insert(at, random(256) as u8),
                    _ => bytes[at] ^= 1 << random(8),
                }
            }
            match decode_bytes(&bytes, &path, &options) {
                Ok(picture) => {
                    assert!(picture.width() * picture.height() <= 1_000_000);
                    pictures += 1;
                }
                Err(error) => {
                    assert!(!error.to_string().contains('\n'), "{error}");
                    errors += 1;
                }
            }
        }
    }
    println!("{pictures} mutants were still pictures, {errors} were refused");
    assert!(pictures > 100 && errors > 100);
}
