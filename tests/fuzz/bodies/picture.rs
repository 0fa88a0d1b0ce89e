use std::path::Path;

use aaclip::image::{
    Chain, DecodeOptions, Fit, Picture, Preprocess, SampleRange, decode_bytes, head, mask_of,
};

/// Most pixels of a picture that is decoded.
const MAX_PIXELS: u64 = 1 << 20;

/// A picture file, to the tensor of the vision tower and to a mask.
pub fn picture(data: &[u8]) {
    let given = SampleRange::Given { min: -1.0, max: 300.0 };
    for range in [SampleRange::Auto, SampleRange::Full, SampleRange::Reference, SampleRange::NonZero, given] {
        let mut options = DecodeOptions::default();
        (options.limits.max_pixels, options.limits.max_bytes) = (MAX_PIXELS, 8 << 20);
        options.range = range;
        if let Ok(picture) = decode_bytes(data, Path::new("x"), &options) {
            prepare(&picture);
        }
        if let Ok(file) = mask_of(data, Path::new("x"), &options) {
            prepare(&file.mask);
        }
    }
    let _ = head(data);
}

fn prepare(picture: &Picture) {
    let (width, height) = (picture.width(), picture.height());
    assert!((width * height) as u64 <= MAX_PIXELS);
    assert_eq!(picture.samples().len(), width * height * picture.mode().channels());
    let rgb = picture.to_rgb();
    assert_eq!((rgb.width() as usize, rgb.height() as usize), (width, height));
    for chain in [Chain::ResizeThenRgb, Chain::RgbThenResize] {
        for fit in [Fit::Squash, Fit::Crop, Fit::Keep] {
            let preprocess = Preprocess { size: 16, patch: 8, mean: [0.5; 3], std: [0.25; 3], fit, chain };
            let prepared = preprocess.run(picture).expect("a picture with pixels");
            assert!(fit == Fit::Keep || prepared.tensor.dim() == (3, 16, 16));
            assert!(prepared.tensor.iter().all(|v| (-2.0..=2.0).contains(v)));
            assert_eq!(preprocess.mask(picture).expect("a mask with pixels").len(), 16 * 16);
        }
    }
}
