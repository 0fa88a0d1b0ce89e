//! Detections of pictures in tiles.

use std::num::NonZeroUsize;

use aaclip::Detector;
use aaclip::anchors::AnchorCache;
use aaclip::image::{Fit, Picture, PixelMode};
use aaclip::tiles::{Overlap, TileGrid, TileSide, Tiling};

use crate::support;

fn detectors(fit: Fit, tiling: Option<Tiling>) -> Detector {
    let builder = Detector::builder(support::tiny_model().to_str().unwrap()).class("bottle");
    builder.cache(AnchorCache::disabled()).fit(Some(fit)).tiling(tiling).build().unwrap()
}

fn picture(width: usize, height: usize) -> Picture {
    let sample = |i: usize| ((i * 7919 + i / 311) % 251) as u8;
    Picture::new(width, height, PixelMode::Rgb, (0..width * height * 3).map(sample).collect()).unwrap()
}

#[test]
fn a_detection_tells_its_tiles_and_lies_on_the_picture() {
    let tiling =
        Tiling { side: TileSide::Pixels(NonZeroUsize::new(48).unwrap()), overlap: Overlap::default() };
    let detector = detectors(Fit::Keep, Some(tiling));
    let wide = picture(150, 60);
    let found = detector.detect(&wide).unwrap();
    assert_eq!(found.tiles, TileGrid::new(&tiling, 150, 60).unwrap().count());
    assert_eq!((found.tiles, found.map.dim()), (8, (40, 100)));
    assert_eq!(found.probabilities().dim(), (60, 150));
    // Prepared ahead it is the same.
    let ahead = detector.detect_prepared(detector.prepare(&wide).unwrap()).unwrap();
    assert_eq!((ahead.score, &ahead.map, ahead.tiles), (found.score, &found.map, 8));

    // On the model's square the picture is squashed.
    let square = found.square_map();
    assert_eq!(square.dim(), (32, 32));
    let (y, x) = (16, 9);
    let at = |i: usize, scale: f64| ((i as f64 + 0.5) * scale - 0.5).round() as usize;
    let there = found.map[(at(y, 40.0 / 32.0), at(x, 100.0 / 32.0))];
    let range = found.components.map_max - found.components.map_min;
    assert!((square[(y, x)] - there).abs() < 0.2 * range, "{} {there}", square[(y, x)]);

    // One pass sees a small square picture as it is: no tiles, the map itself.
    let small = detector.detect(&picture(40, 40)).unwrap();
    assert_eq!((small.tiles, *small.square_map() == small.map), (1, true));
    let plain = detectors(Fit::Squash, None).detect(&picture(40, 40)).unwrap();
    assert_eq!((plain.score, plain.map), (small.score, small.map));
}

/// A wide picture goes through the tower as it is: its patches in its own proportions, nothing beside them.
#[test]
fn a_kept_shape_has_no_padding() {
    let found = detectors(Fit::Keep, None).detect(&picture(150, 60)).unwrap();
    let sides = (found.map.nrows() as f64, found.map.ncols() as f64);
    assert!(
        (sides.1 / sides.0 / 2.5 - 1.0).abs() < 0.25 && sides.0 * sides.1 < 1.3 * 32.0 * 32.0,
        "{sides:?}"
    );
    let highest = found.map.iter().copied().fold(f32::MIN, f32::max);
    assert_eq!((highest, found.map.mean()), (found.components.map_max, Some(found.components.map_mean)));
    assert_eq!(found.square_map().dim(), (32, 32));
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
