//! Pictures and masks as both reference codes prepare them.

use std::path::Path;

use aaclip::clip::Normalisation;
use aaclip::image::{Chain, DecodeOptions, Fit, Preprocess, decode};
use candle_core::Tensor;

use crate::support::{self, case, tensors};

fn prepare(path: &Path, size: usize, chain: Chain) -> Vec<f32> {
    let picture = decode(path, &DecodeOptions::default()).unwrap();
    preprocess(size, chain).run(&picture).unwrap().tensor.into_raw_vec_and_offset().0
}

/// Preprocessing as the reference of that chain does it.
pub fn preprocess(size: usize, chain: Chain) -> Preprocess {
    let Normalisation { mean, std } = Normalisation::default();
    Preprocess { size, patch: 14, mean, std, fit: Fit::Squash, chain }
}

/// One 8-bit level, in normalised units, is at least this much.
const LEVEL: f32 = 1.0 / 255.0 / 0.276;

#[track_caller]
fn assert_pixels(name: &str, found: &[f32], expected: &Tensor) {
    let expected: Vec<f32> = expected.flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(found.len(), expected.len());
    let differences: Vec<f32> = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).collect();
    let largest = differences.iter().copied().fold(0.0, f32::max);
    let exact = differences.iter().filter(|&&d| d < 1e-6).count() as f32 / differences.len() as f32;
    println!("{name:35} largest difference {largest:.1e}, exact {:.3} %", 100.0 * exact);
    assert!(largest <= LEVEL * 1.1, "{name}: {largest}");
    assert!(exact >= 0.999, "{name}: {exact}");
}

#[test]
fn pictures_match_both_chains() {
    let (golden, case) = (tensors("preprocess"), case("preprocess"));
    let size = case["image_size"].as_u64().unwrap() as usize;
    for (name, about) in case["images"].as_object().unwrap() {
        let path = support::golden().join("preprocess").join(about["file"].as_str().unwrap());
        let aaclip = &golden[&format!("{name}.aaclip")];
        assert_pixels(&format!("{name}.aaclip"), &prepare(&path, size, Chain::RgbThenResize), aaclip);
        let clipad = golden.get(&format!("{name}.clipad")).unwrap_or(aaclip);
        assert_pixels(&format!("{name}.clipad"), &prepare(&path, size, Chain::ResizeThenRgb), clipad);
    }
}

#[test]
fn masks_match_both_chains() {
    let (golden, case) = (tensors("preprocess"), case("preprocess"));
    let size = case["image_size"].as_u64().unwrap() as usize;
    for (name, about) in case["masks"].as_object().unwrap() {
        let path = support::golden().join("preprocess").join(about["file"].as_str().unwrap());
        let picture = decode(&path, &DecodeOptions::default()).unwrap();
        for (key, chain) in [("aaclip", Chain::RgbThenResize), ("clipad", Chain::ResizeThenRgb)] {
            let found = preprocess(size, chain).mask(&picture).unwrap();
            let expected: Vec<f32> =
                golden[&format!("{name}.{key}")].flatten_all().unwrap().to_vec1().unwrap();
            let found: Vec<f32> = found.into_iter().map(|b| f32::from(u8::from(b))).collect();
            assert_eq!(found, expected, "{name}.{key}");
        }
    }
}

#[test]
fn the_mini_data_set_matches() {
    let (golden, case) = (tensors("data"), case("data"));
    let size = case["image_size"].as_u64().unwrap() as usize;
    for (i, file) in case["files"].as_array().unwrap().iter().enumerate() {
        let path = support::golden().join("data/mvtec_mini").join(file.as_str().unwrap());
        let expected = golden["images"].get(i).unwrap();
        for chain in [Chain::ResizeThenRgb, Chain::RgbThenResize] {
            assert_pixels(file.as_str().unwrap(), &prepare(&path, size, chain), &expected);
        }
    }
}
