//! Gaussian smoothing of maps.

use ndarray::parallel::prelude::*;
use ndarray::{Array2, ArrayView2, Axis};

/// Standard deviation of a Gaussian, in pixels of the smoothed map; 0 means no smoothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sigma(f64);

impl Sigma {
    /// The largest allowed value; it turns a map of any usual size into a flat average.
    pub const MAX: f64 = 1000.0;

    /// `None` for a negative, non-finite or absurdly large value.
    pub const fn new(pixels: f64) -> Option<Self> {
        if pixels >= 0.0 && pixels <= Self::MAX { Some(Self(pixels)) } else { None }
    }

    /// The value in pixels.
    pub fn pixels(self) -> f64 {
        self.0
    }

    /// The same width on a map of another scale, clamped to 0..[`Sigma::MAX`]; `factor` is the number of its
    /// pixels per pixel.
    pub(crate) fn scaled(self, factor: f64) -> Self {
        Self((self.0 * factor).clamp(0.0, Self::MAX))
    }
}

/// Smooths as `scipy.ndimage.gaussian_filter` does by default: truncated at four sigmas, border mirrored with
/// the edge repeated, rows first, sums in f64, f32 between the passes. CLIP-AD smooths its maps like this.
pub fn gaussian(map: ArrayView2<'_, f32>, sigma: Sigma) -> Array2<f32> {
    convolve(map, sigma.pixels(), (4.0 * sigma.pixels() + 0.5) as usize, mirror_with_edge)
}

/// Smooths as kornia's `gaussian_blur2d` does with the border `reflect`: a kernel of `taps` (odd), border
/// mirrored without repeating the edge. AA-CLIP smooths on the patch grid like this.
pub fn blur(map: ArrayView2<'_, f32>, taps: usize, sigma: Sigma) -> Array2<f32> {
    let radius = if sigma.pixels() == 0.0 { 0 } else { taps / 2 };
    convolve(map, sigma.pixels(), radius, mirror_without_edge)
}

/// Index of the sample used for a position beyond the border.
type Border = fn(isize, usize) -> usize;

fn convolve(map: ArrayView2<'_, f32>, sigma: f64, radius: usize, border: Border) -> Array2<f32> {
    if radius == 0 || map.is_empty() {
        return map.to_owned();
    }
    let half = half_kernel(sigma, radius);
    // Axis 0 first, so that both passes work on whole rows.
    let down = convolve_columns(map, &half, border);
    convolve_columns(down.t(), &half, border).reversed_axes().as_standard_layout().into_owned()
}

/// Weights at distance 0, 1, .. `radius`, normalised over the full kernel.
fn half_kernel(sigma: f64, radius: usize) -> Vec<f64> {
    let weight = |i: usize| (-0.5 * (i * i) as f64 / (sigma * sigma)).exp();
    let sum = weight(0) + 2.0 * (1..=radius).map(weight).sum::<f64>();
    (0..=radius).map(|i| weight(i) / sum).collect()
}

/// Convolves every column with a symmetric kernel, given as its half.
fn convolve_columns(map: ArrayView2<'_, f32>, half: &[f64], border: Border) -> Array2<f32> {
    let map = map.as_standard_layout();
    let (height, width) = map.dim();
    let mut out = Array2::zeros((height, width));
    out.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(r, mut out)| {
        let mut sums = vec![0.0f64; width];
        for (distance, &weight) in half.iter().enumerate() {
            let above = map.row(border(r as isize - distance as isize, height));
            let below = map.row(border(r as isize + distance as isize, height));
            // The middle tap is one sample, the others come in pairs.
            let weight = if distance == 0 { weight / 2.0 } else { weight };
            for ((sum, &a), &b) in sums.iter_mut().zip(above).zip(below) {
                *sum += weight * (f64::from(a) + f64::from(b));
            }
        }
        for (value, sum) in out.iter_mut().zip(sums) {
            *value = sum as f32;
        }
    });
    out
}

/// The sample at `i` when `length` samples are mirrored with the edge repeated (`b a | a b c | c b`).
fn mirror_with_edge(i: isize, length: usize) -> usize {
    let period = 2 * length as isize;
    let i = i.rem_euclid(period);
    (if i < length as isize { i } else { period - 1 - i }) as usize
}

/// The sample at `i` when `length` samples are mirrored without repeating the edge (`c b | a b c | b a`).
fn mirror_without_edge(i: isize, length: usize) -> usize {
    let period = (2 * length as isize - 2).max(1);
    let i = i.rem_euclid(period);
    (if i < length as isize { i } else { period - i }) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirror_repeats_the_edge() {
        let seen: Vec<usize> = (-4..8).map(|i| mirror_with_edge(i, 3)).collect();
        assert_eq!(seen, [2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0, 1]);
        let seen: Vec<usize> = (-4..8).map(|i| mirror_without_edge(i, 3)).collect();
        assert_eq!(seen, [0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1]);
        assert_eq!(mirror_without_edge(-3, 1), 0);
    }

    #[test]
    fn keeps_constants_and_mass() {
        let sigma = Sigma::new(2.0).unwrap();
        let flat = Array2::from_elem((9, 5), 3.0f32);
        assert!(gaussian(flat.view(), sigma).iter().all(|v| (v - 3.0).abs() < 1e-6));
        let mut point = Array2::zeros((41, 31));
        point[(20, 15)] = 1.0;
        let smooth = gaussian(point.view(), sigma);
        assert!((smooth.sum() - 1.0).abs() < 1e-5);
        assert!((smooth[(20, 15)] - smooth[(20, 16)]) > 0.0);
        assert!((smooth[(20, 17)] - smooth[(22, 15)]).abs() < 1e-7);
    }

    #[test]
    fn limits_of_sigma() {
        assert!(Sigma::new(-0.1).is_none() && Sigma::new(f64::NAN).is_none() && Sigma::new(1e9).is_none());
        let map = Array2::from_shape_fn((3, 4), |(r, c)| (r + c) as f32);
        assert_eq!(gaussian(map.view(), Sigma::new(0.0).unwrap()), map);
        let wide = gaussian(map.view(), Sigma::new(50.0).unwrap());
        assert!((wide[(0, 0)] - wide[(2, 3)]).abs() < 0.01);
    }
}
