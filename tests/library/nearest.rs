//! A memory of patches: of good parts, or of the folder itself.

use aaclip::anchors::AnchorCache;
use aaclip::image::{DecodeOptions, Picture, PixelMode};
use aaclip::{Detector, References};

/// Stripes with a spot of `shade` in the middle; other pictures of the same kind are shifted.
fn part(shift: usize, shade: Option<u8>) -> Picture {
    let sample = |i: usize| {
        let (x, y) = (i % 96, i / 96);
        match shade {
            Some(shade) if (34..62).contains(&x) && (34..62).contains(&y) => shade,
            _ => (((x + shift) / 8 % 2) * 90 + 60 + (x * 7 + y * 13 + shift) % 11) as u8,
        }
    };
    let samples = (0..96 * 96).flat_map(|i| [sample(i); 3]).collect();
    Picture::new(96, 96, PixelMode::Rgb, samples).unwrap()
}

fn detector(references: impl Into<References>) -> aaclip::Result<Detector> {
    let builder = Detector::builder("builtin").cache(AnchorCache::disabled()).image_size(Some(96));
    builder.references(references).build()
}

#[test]
fn good_parts_are_near_and_a_spot_is_not() {
    let good: Vec<Picture> = (0..5).map(|shift| part(shift, None)).collect();
    let detector = detector(good.clone()).unwrap();
    assert_eq!(detector.method().name, "nearest");
    let score = |picture: &Picture| detector.detect(picture).unwrap().score;
    let (known, new, damaged) = (score(&good[2]), score(&part(6, None)), score(&part(2, Some(250))));
    assert!(damaged > 0.6 && known < 0.6 && new < damaged - 0.1, "{known} {new} {damaged}");
    // The map's highest value is in the spot, and the levels are those of the memory.
    let map = detector.detect(&part(2, Some(250))).unwrap().probabilities();
    let ((y, x), _) = map.indexed_iter().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
    assert!((24..72).contains(&y) && (24..72).contains(&x), "{y} {x}");
    assert_eq!(detector.range().unwrap().good(), 0.5);
}

#[test]
fn a_picture_of_the_folder_is_not_compared_with_itself() {
    let mut folder: Vec<Picture> = (0..7).map(|shift| part(shift, None)).collect();
    folder.push(part(3, Some(250)));
    let detector = detector(References::from(folder.clone()).mixed()).unwrap();
    let scores: Vec<f32> = folder.iter().map(|p| detector.detect(p).unwrap().score).collect();
    let highest = scores.iter().copied().fold(0.0, f32::max);
    assert!(
        scores[7] == highest && scores[7] > 0.6 && scores[..7].iter().all(|&s| s < scores[7] - 0.1),
        "{scores:?}"
    );
}

#[test]
fn one_good_part_is_enough() {
    let detector = detector(vec![part(0, None)]).unwrap();
    let score = |picture: &Picture| detector.detect(picture).unwrap().score;
    assert!(score(&part(0, Some(250))) > score(&part(1, None)) + 0.1);
    assert!(score(&part(0, None)) < 0.2);
}

#[test]
fn references_are_needed_and_must_exist() {
    let builder = Detector::builder("builtin").method("nearest").cache(AnchorCache::disabled());
    let error = builder.build().err().unwrap().to_string();
    assert!(error.contains("needs reference pictures"), "{error}");
    let gone = References::files(vec!["gone.png".into()], DecodeOptions::default());
    assert!(detector(gone).err().unwrap().to_string().contains("gone.png"));
    let error =
        Detector::builder("builtin").method("sdp").references(vec![part(0, None)]).build().err().unwrap();
    assert!(error.to_string().contains("does not compare"), "{error}");
}
