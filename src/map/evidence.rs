//! The result of one pass of a method, as data, and the way from it to an anomaly map.
//!
//! Every method gives grids of patches. The final map, the map of a tile and the smoothing of blended tiles
//! are computed here for all methods.

use ndarray::Array2;

use super::{Alignment, Sigma, bilinear, blur, gaussian};

/// A method's result for one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The method's own score of the whole picture, in its own units.
    pub image: Option<f32>,
    /// Grids of patches. The final map is their sum, added in this order.
    pub grids: Vec<PatchGrid>,
}

/// One value per patch, with the rules for turning them into pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct PatchGrid {
    /// `[rows, columns]`
    pub values: Array2<f32>,
    /// How the corners of the patch grid and the pixel grid are aligned.
    pub alignment: Alignment,
    /// The function applied to every pixel after up-sampling.
    pub curve: Curve,
}

/// A function of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Curve {
    /// The value itself.
    #[default]
    Linear,
    /// `1 / (1 + e^-x)`: the softmax of two logits, given their difference.
    Sigmoid,
}

/// How a method smooths its maps.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Smoothing {
    /// No smoothing.
    #[default]
    None,
    /// After up-sampling, with [`gaussian`]; in pixels of the map.
    Pixels(Sigma),
    /// Before up-sampling, on every grid, with [`blur`].
    Patches {
        /// Width of the kernel in patches; odd.
        taps: usize,
        /// Standard deviation, in patches.
        sigma: Sigma,
    },
}

/// The final map of `size`, rows and columns: the sum of all grids after up-sampling and curve.
pub fn final_map(grids: &[PatchGrid], size: (usize, usize), smoothing: Smoothing) -> Array2<f32> {
    let pixels = |grid: &PatchGrid| match smoothing {
        Smoothing::Patches { taps, sigma } => {
            upsample(&blur(grid.values.view(), taps, sigma), size, grid.alignment, grid.curve)
        }
        _ => upsample(&grid.values, size, grid.alignment, grid.curve),
    };
    let sum = sum(grids.iter().map(pixels), size);
    match smoothing {
        Smoothing::Pixels(sigma) => gaussian(sum.view(), sigma),
        _ => sum,
    }
}

/// The map of one of several tiles, of `size`, rows and columns: as [`final_map`], but unsmoothed and with half-pixel
/// alignment. (The aligned corners of some references shift patches outward by up to half a patch; two tiles
/// would then show the same defect in their overlap at two positions.)
pub fn tile_map(grids: &[PatchGrid], size: (usize, usize)) -> Array2<f32> {
    sum(grids.iter().map(|grid| upsample(&grid.values, size, Alignment::HalfPixel, grid.curve)), size)
}

/// Smooths a whole map blended from tiles, so that tile borders do not matter. `scale` is its pixels per
/// pixel of a tile's own map, `patch` the side of a patch in pixels of a tile's own map.
///
/// Up-sampling already spreads a patch by a triangle two patches wide, with a variance of 1/6 patch². A
/// method that smooths on the patch grid smooths before up-sampling and keeps the peak of a patch; here its
/// Gaussian is narrowed by the same variance.
pub fn smooth_blend(map: Array2<f32>, smoothing: Smoothing, scale: f64, patch: f64) -> Array2<f32> {
    match smoothing {
        Smoothing::None => map,
        Smoothing::Pixels(sigma) => gaussian(map.view(), sigma.scaled(scale)),
        Smoothing::Patches { taps, sigma } => {
            let pitch = patch * scale;
            let narrower = (sigma.pixels().powi(2) - 1.0 / 6.0).max(0.0).sqrt();
            let taps = 2 * ((taps / 2) as f64 * pitch).ceil() as usize + 1;
            blur(map.view(), taps, Sigma::new(narrower).unwrap_or(sigma).scaled(pitch))
        }
    }
}

fn upsample(values: &Array2<f32>, size: (usize, usize), alignment: Alignment, curve: Curve) -> Array2<f32> {
    let mut map = bilinear(values.view(), size, alignment);
    if curve == Curve::Sigmoid {
        map.mapv_inplace(|v| sigmoid(f64::from(v)) as f32);
    }
    map
}

fn sum(mut maps: impl Iterator<Item = Array2<f32>>, size: (usize, usize)) -> Array2<f32> {
    let first = maps.next().unwrap_or_else(|| Array2::zeros(size));
    maps.fold(first, |sum, map| sum + map)
}

/// `1 / (1 + e^-x)`
pub(crate) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use ndarray::s;

    use super::*;

    /// Smoothing a blended map must give the same result as smoothing on the patch grid, above all the same
    /// peak.
    #[test]
    fn both_ways_of_smoothing_agree() {
        let (side, size) = (37usize, 518usize);
        let spot = |i: usize| if i == 18 * side + 12 { 40.0 } else { ((i * 37 + i / 7) % 11) as f32 };
        let values = Array2::from_shape_fn((side, side), |(y, x)| spot(y * side + x));
        let grid = PatchGrid { values, alignment: Alignment::HalfPixel, curve: Curve::Linear };
        let grids = std::slice::from_ref(&grid);
        for (taps, sigma) in [(7, 1.0), (9, 1.5)] {
            let smoothing = Smoothing::Patches { taps, sigma: Sigma::new(sigma).unwrap() };
            let expected = final_map(grids, (size, size), smoothing);
            let found =
                smooth_blend(tile_map(grids, (size, size)), smoothing, 1.0, size as f64 / side as f64);
            let highest = |m: &Array2<f32>| m.iter().copied().fold(f32::MIN, f32::max);
            let lowest = expected.iter().copied().fold(f32::MAX, f32::min);
            let range = highest(&expected) - lowest;
            let peak = (highest(&found) - highest(&expected)) / range;
            // The border is mirrored about a different line; the difference reaches as far as the kernel.
            let inner = s![56..size - 56, 56..size - 56];
            let difference = &found.slice(inner) - &expected.slice(inner);
            let largest = difference.iter().fold(0.0f32, |m, d| m.max(d.abs())) / range;
            println!("{taps} taps: largest difference {largest:.4} of the range, peak {peak:+.4}");
            // Between patches the reference interpolates linearly, up to an eighth of a peak below the curve.
            assert!(largest < 0.15 && peak.abs() < 0.03, "{taps} taps: {largest} {peak}");
        }
    }
}
