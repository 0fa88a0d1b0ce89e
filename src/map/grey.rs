//! A map in 8 bits, in the frame of its picture: small enough to keep, and enough to draw everything from.

use std::ops::Range;

use ndarray::{Array2, ArrayView2};

use super::{Alignment, Region, bilinear, bilinear_rows, regions_by_rows};

/// Probabilities of a picture in 256 steps, at about the model's resolution.
#[derive(Debug, Clone, PartialEq)]
pub struct GreyMap {
    /// The probability of step 0, the lowest of the map.
    pub low: f32,
    /// The probability of step 255, the highest of the map.
    pub high: f32,
    /// `[h, w]`, with the sides in the picture's proportion.
    pub steps: Array2<u8>,
}

impl GreyMap {
    /// The map of probabilities `[h, w]` that cover the picture.
    pub fn new(probabilities: ArrayView2<'_, f32>) -> Self {
        let ends = |(low, high): (f32, f32), &v: &f32| (low.min(v), high.max(v));
        let (low, high) = probabilities.iter().fold((f32::INFINITY, f32::NEG_INFINITY), ends);
        let scale = if high > low { 255.0 / (high - low) } else { 0.0 };
        let steps = probabilities.mapv(|v| ((v - low) * scale).round() as u8);
        Self { low, high, steps }
    }

    /// The sides of the map of a picture with `width` x `height` pixels: at most `longest`, and no more than the
    /// picture has. `[h, w]`.
    pub fn sides(width: usize, height: usize, longest: usize) -> (usize, usize) {
        let side = width.max(height).max(1);
        let longest = longest.min(side);
        let scaled = |v: usize| (v * longest + side / 2).checked_div(side).unwrap_or(0).max(1);
        (scaled(height), scaled(width))
    }

    /// Probabilities at the picture's size, `[height, width]`.
    pub fn at_size(&self, width: usize, height: usize) -> Array2<f32> {
        bilinear(self.values().view(), (height, width), Alignment::HalfPixel)
    }

    /// Some rows of [`Self::at_size`].
    pub fn rows_at_size(&self, width: usize, height: usize, wanted: Range<usize>) -> Array2<f32> {
        let wanted = wanted.start.min(height)..wanted.end.min(height);
        if self.steps.is_empty() || width == 0 || wanted.is_empty() {
            return Array2::zeros((0, width));
        }
        bilinear_rows(self.values().view(), (height, width), wanted, Alignment::HalfPixel)
    }

    /// The connected regions of [`Self::at_size`] at or above a threshold, without making all of it.
    pub fn regions(&self, width: usize, height: usize, threshold: f32) -> Vec<Region> {
        let values = self.values();
        if values.is_empty() || width == 0 || height == 0 {
            return Vec::new();
        }
        let rows = |wanted| bilinear_rows(values.view(), (height, width), wanted, Alignment::HalfPixel);
        regions_by_rows((height, width), threshold, rows)
    }

    fn values(&self) -> Array2<f32> {
        let step = (self.high - self.low) / 255.0;
        self.steps.mapv(|s| if s == 255 { self.high } else { self.low + f32::from(s) * step })
    }
}

#[cfg(test)]
mod tests {
    use super::super::regions;
    use super::*;
    use ndarray::s;
    use proptest::prelude::*;

    #[test]
    fn sides_keep_the_proportion() {
        assert_eq!(GreyMap::sides(1000, 500, 320), (160, 320));
        assert_eq!(GreyMap::sides(10, 4000, 320), (320, 1));
        assert_eq!(GreyMap::sides(40, 30, 320), (30, 40));
        assert_eq!(GreyMap::sides(1, 1, 320), (1, 1));
    }

    proptest! {
        #[test]
        fn values_are_within_half_a_step(values in proptest::collection::vec(0.0f32..1.0, 12)) {
            let map = Array2::from_shape_vec((3, 4), values).unwrap();
            let grey = GreyMap::new(map.view());
            let again = grey.at_size(4, 3);
            let half = (grey.high - grey.low) / 510.0 + 1e-6;
            prop_assert!(again.iter().zip(&map).all(|(a, b)| (a - b).abs() <= half));
            prop_assert_eq!(again.iter().copied().fold(0.0, f32::max), grey.high);
            let (whole, middle) = (grey.at_size(9, 150), (grey.low + grey.high) / 2.0);
            prop_assert_eq!(grey.regions(9, 150, middle), regions(whole.view(), middle));
            prop_assert_eq!(grey.rows_at_size(9, 150, 70..200), whole.slice(s![70.., ..]));
        }
    }
}
