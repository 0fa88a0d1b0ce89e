//! Detections of pictures in tiles.

use std::num::NonZeroUsize;

use aaclip::Detector;
use aaclip::anchors::AnchorCache;
use aaclip::image::{Fit, Picture, PixelMode};
use aaclip::tiles::{Overlap, TileGrid, TileSide, Tiling};

use crate::support;

fn detectors(fit: Fit, tiling: Option<Tiling>) -> Detector {
    let builder = Detector::builder(support::tiny_model().to_str().unwrap()).class("bottle");
    builder.cache(AnchorCache::disabled()).fit(fit).tiling(tiling).build().unwrap()
}

fn picture(width: usize, height: usize) -> Picture {
    let sample = |i: usize| ((i * 7919 + i / 311) % 251) as u8;
    Picture::new(width, height, PixelMode::Rgb, (0..width * height * 3).map(sample).collect()).unwrap()
}

#[test]
fn a_detection_tells_its_tiles_and_lies_on_the_picture() {
    let tiling =
        Tiling { side: TileSide::Pixels(NonZeroUsize::new(48).unwrap()), overlap: Overlap::default() };
    let detector = detectors(Fit::Pad, Some(tiling));
    let wide = picture(150, 60);
    let found = detector.detect(&wide).unwrap();
    assert_eq!(found.tiles, TileGrid::new(&tiling, 150, 60).unwrap().count());
    assert_eq!((found.tiles, found.map.dim()), (8, (40, 100)));
    assert_eq!(found.probabilities().dim(), (60, 150));
    // Prepared ahead it is the same.
    let ahead = detector.detect_prepared(detector.prepare(&wide).unwrap()).unwrap();
    assert_eq!((ahead.score, &ahead.map, ahead.tiles), (found.score, &found.map, 8));

    // On the model's square the picture takes 12 of 32 rows; the map is what it is there, beside it as low as anywhere.
    let square = found.square_map();
    assert_eq!(square.dim(), (32, 32));
    for (y, row) in square.rows().into_iter().enumerate() {
        let inside = (10..22).contains(&y);
        assert_eq!(row.iter().all(|&v| v == found.components.map_min), !inside, "row {y}");
    }
    let (y, x) = (16, 9);
    let at = |i: usize, offset: f64, scale: f64| ((i as f64 + 0.5 - offset) * scale - 0.5).round() as usize;
    let there = found.map[(at(y, 10.0, 40.0 / 12.0), at(x, 0.0, 100.0 / 32.0))];
    let range = found.components.map_max - found.components.map_min;
    assert!((square[(y, x)] - there).abs() < 0.2 * range, "{} {there}", square[(y, x)]);

    // One pass sees a small square picture as it is: no tiles, the map itself.
    let small = detector.detect(&picture(40, 40)).unwrap();
    assert_eq!((small.tiles, *small.square_map() == small.map), (1, true));
    let plain = detectors(Fit::Squash, None).detect(&picture(40, 40)).unwrap();
    assert_eq!((plain.score, plain.map), (small.score, small.map));
}

#[test]
fn padding_has_no_part_in_map_and_score() {
    let found = detectors(Fit::Pad, None).detect(&picture(150, 60)).unwrap();
    let (inside, parts) = (found.map.slice(ndarray::s![10..22, ..]), found.components);
    let highest = inside.iter().copied().fold(f32::MIN, f32::max);
    assert_eq!((highest, inside.mean()), (parts.map_max, Some(parts.map_mean)));
    for (y, row) in found.map.rows().into_iter().enumerate() {
        let is_least = row.iter().all(|&v| v == parts.map_min);
        assert_eq!(is_least, !(10..22).contains(&y), "row {y}");
    }
    assert_eq!(found.probabilities().dim(), (60, 150));
}

#[test]
fn a_square_of_a_picture_is_its_pixels() {
    for mode in [PixelMode::Gray, PixelMode::Rgb, PixelMode::Rgba, PixelMode::GrayAlpha] {
        let channels = mode.channels();
        let samples: Vec<u8> = (0..7 * 5 * channels).map(|i| i as u8).collect();
        let whole = Picture::new(7, 5, mode, samples).unwrap();
        let part = whole.square(2, 1, 3);
        assert_eq!((part.width(), part.height(), part.mode()), (3, 3, mode));
        for (i, sample) in part.samples().iter().enumerate() {
            let (pixel, channel) = (i / channels, i % channels);
            let index = ((1 + pixel / 3) * 7 + 2 + pixel % 3) * channels + channel;
            assert_eq!(*sample, whole.samples()[index]);
        }
        assert_eq!(whole.square(0, 0, 7).height(), 5);
        assert!(whole.square(9, 9, 4).samples().is_empty());
        assert_eq!(whole.square(usize::MAX, 0, usize::MAX).width(), 0);
    }
}
