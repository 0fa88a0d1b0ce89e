//! Ground-truth masks on the model's square, computed as each reference does.

use super::ImageError;
use super::decode::Picture;
use super::preprocess::{Chain, Preprocess, side};
use super::resample::{Filter, Samples, resample};

/// A square of zeros and ones, row by row.
pub type Mask = Vec<bool>;

impl Preprocess {
    /// Puts a ground-truth mask on the square as pictures of its size are, `[S, S]`; with
    /// [`Fit::Keep`](super::Fit::Keep) the whole mask fills the square.
    ///
    /// AA-CLIP's chain takes the nearest sample; every value except 0 is damaged. CLIP-AD's first turns every
    /// value except 0 into 255 and resizes bilinearly with antialiasing; values above one half are damaged.
    ///
    /// # Errors
    /// The mask has no pixels.
    pub fn mask(&self, mask: &Picture) -> Result<Mask, ImageError> {
        let (width, height, size) = (mask.width(), mask.height(), self.size);
        if width == 0 || height == 0 || size == 0 {
            return Err(ImageError::NoPixels { width, height, size });
        }
        let grey = mask.to_grey();
        let (values, filter, above) = match self.chain {
            Chain::RgbThenResize => (grey, Filter::Nearest, 0),
            Chain::ResizeThenRgb => {
                (grey.into_iter().map(|v| if v > 0 { 255 } else { 0 }).collect(), Filter::Bilinear, 127)
            }
        };
        let geometry = self.on_square().geometry(width, height);
        let whole = Samples { width, height, channels: 1, values };
        let small = resample(whole.pixels(), &side(&geometry.across), &side(&geometry.down), filter);
        Ok(small.values.into_iter().map(|value| value > above).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Fit, PixelMode};
    use super::*;

    fn square(fit: Fit, chain: Chain, width: usize, samples: &[u8]) -> Vec<bool> {
        let height = samples.len() / width;
        let mask = Picture::new(width, height, PixelMode::Gray, samples.to_vec()).unwrap();
        let preprocess = Preprocess { size: 4, patch: 1, mean: [0.5; 3], std: [0.5; 3], fit, chain };
        preprocess.mask(&mask).unwrap()
    }

    #[test]
    fn masks_lie_where_the_picture_lies() {
        // Two rows of four, damaged on the left half, with small values as in VisA.
        let samples = [1, 2, 0, 0, 1, 1, 0, 0];
        for chain in [Chain::RgbThenResize, Chain::ResizeThenRgb] {
            let squashed = square(Fit::Squash, chain, 4, &samples);
            assert!(squashed.chunks(4).all(|row| row == [true, true, false, false]), "{chain:?}");
            assert_eq!(square(Fit::Keep, chain, 4, &samples), squashed, "{chain:?}");
            let cropped = square(Fit::Crop, chain, 4, &samples);
            assert!(cropped.chunks(4).all(|row| row == [true, true, false, false]), "{chain:?}");
        }
    }
}
