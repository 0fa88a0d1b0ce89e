//! From a picture to the input tensor of the vision tower.

use std::borrow::Cow;

use ndarray::Array3;

use super::ImageError;
use super::decode::{Picture, to_rgb_samples};
use super::geometry::{AxisMap, Geometry};
use super::mode::PixelMode;
use super::resample::{Filter, Pixels, Samples, Side, resample};

/// How a picture is made square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Fit {
    /// Stretches both sides to the square, as both papers do.
    #[default]
    Squash,
    /// Fits the shorter side to the square and cuts the longer one at both ends.
    Crop,
    /// Keeps the shape: as many patches as the square has, in the picture's own proportions, each side a whole number
    /// of patches. Nothing is cut or filled.
    Keep,
    /// Fits the shorter side to the square's side in the picture's own proportions; what is less than a patch at the
    /// right and lower border is cut (AnomalyDINO).
    Shorter,
}

impl Fit {
    /// The name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Squash => "squash",
            Self::Crop => "crop",
            Self::Keep => "keep",
            Self::Shorter => "shorter",
        }
    }
}

/// The order of resizing and conversion to RGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Chain {
    /// Resizes in the file's own mode: alpha premultiplied, indexed colours to the nearest sample (CLIP-AD).
    ResizeThenRgb,
    /// Converts to RGB first and drops alpha (AA-CLIP).
    RgbThenResize,
}

/// Settings for the preprocessing of pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preprocess {
    /// Side of the square, in pixels.
    pub size: usize,
    /// Side of the tower's patches, in pixels.
    pub patch: usize,
    /// Mean per channel, for values 0..1.
    pub mean: [f32; 3],
    /// Standard deviation per channel, for values 0..1.
    pub std: [f32; 3],
    /// How a picture is made square.
    pub fit: Fit,
    /// The order of resizing and conversion to RGB.
    pub chain: Chain,
}

/// The vision tower's input for one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// `[3, S, S]`, or `[3, H, W]` for fits that keep proportions; RGB, normalised.
    pub tensor: Array3<f32>,
    /// The placement of the input on the picture.
    pub geometry: Geometry,
}

impl Preprocess {
    /// Resizes with Pillow's bicubic filter and normalises.
    ///
    /// # Errors
    /// The picture has no pixels, or the size is 0.
    pub fn run(&self, picture: &Picture) -> Result<Prepared, ImageError> {
        let (width, height) = (picture.width(), picture.height());
        if width == 0 || height == 0 || self.size == 0 {
            return Err(ImageError::NoPixels { width, height, size: self.size });
        }
        let geometry = self.geometry(width, height);
        let rgb = self.resize(picture, &geometry);
        Ok(Prepared { tensor: self.normalise(&rgb), geometry })
    }

    /// The placement of the input on a picture of this size; both sides at least 1.
    pub(crate) fn geometry(&self, width: usize, height: usize) -> Geometry {
        let short = width.min(height);
        let whole = |input, size| AxisMap { input, size, scaled: size, offset: 0 };
        // torchvision truncates the computed side.
        let by_shorter = |side: usize| (self.size as u128 * side as u128 / short as u128) as usize;
        let axis = |side: usize, other: usize| match self.fit {
            Fit::Squash => whole(side, self.size),
            Fit::Crop => {
                let scaled = by_shorter(side);
                let offset = -half_to_even((scaled - self.size) as isize);
                AxisMap { input: side, size: self.size, scaled, offset }
            }
            Fit::Shorter => {
                let scaled = by_shorter(side);
                let size = (scaled / self.patch * self.patch).max(self.patch.min(scaled));
                AxisMap { input: side, size, scaled, offset: 0 }
            }
            Fit::Keep => {
                let patches = self.size as f64 / self.patch as f64 * (side as f64 / other as f64).sqrt();
                whole(side, (patches.round() as usize).max(1) * self.patch)
            }
        };
        Geometry { across: axis(width, height), down: axis(height, width) }
    }

    /// The same with the whole picture on the square where it would keep its shape: maps and masks of a data set have
    /// one size.
    pub(crate) fn on_square(&self) -> Self {
        let fit = if self.fit == Fit::Crop { Fit::Crop } else { Fit::Squash };
        Self { fit, ..*self }
    }

    fn resize(&self, picture: &Picture, geometry: &Geometry) -> Samples {
        let (across, down) = (side(&geometry.across), side(&geometry.down));
        let mode = picture.mode();
        let rgb_first = self.chain == Chain::RgbThenResize;
        let filter = match mode {
            PixelMode::Palette | PixelMode::Bilevel if !rgb_first => Filter::Nearest,
            _ => Filter::Bicubic,
        };
        let (values, mode) = match (mode, rgb_first) {
            // Grey and colour give the same result in either order; grey is cheaper to resize unconverted.
            (PixelMode::Gray | PixelMode::Rgb, _) | (PixelMode::Palette, _) | (PixelMode::Bilevel, _) => {
                (Cow::Borrowed(picture.samples()), mode)
            }
            (_, true) => (Cow::Owned(to_rgb_samples(picture.samples(), mode)), PixelMode::Rgb),
            (_, false) => (Cow::Owned(premultiply(picture.samples(), mode.channels())), mode),
        };
        let (width, channels) = (picture.width(), mode.channels());
        let whole = Pixels { width, channels, values: &values };
        let mut small = resample(whole, &across, &down, filter);
        if channels == 2 || channels == 4 {
            divide_by_alpha(&mut small.values, channels);
        }
        Samples { values: to_rgb_samples(&small.values, mode), channels: 3, ..small }
    }

    fn normalise(&self, rgb: &Samples) -> Array3<f32> {
        let mut tensor = Array3::zeros((3, rgb.height, rgb.width));
        for (channel, mut plane) in tensor.outer_iter_mut().enumerate() {
            let table: [f32; 256] =
                std::array::from_fn(|v| (v as f32 / 255.0 - self.mean[channel]) / self.std[channel]);
            for (value, pixel) in plane.iter_mut().zip(rgb.values.chunks_exact(3)) {
                *value = table[usize::from(pixel[channel])];
            }
        }
        tensor
    }
}

/// The part of the resized side inside the square.
pub(super) fn side(axis: &AxisMap) -> Side {
    let start = (-axis.offset).max(0) as usize;
    Side { input: axis.input, output: axis.scaled, wanted: start..start + axis.scaled.min(axis.size) }
}

/// Half of a positive number, rounded half to even as by Python's `round`.
fn half_to_even(n: isize) -> isize {
    let half = n / 2;
    if n % 2 == 0 { half } else { half + half % 2 }
}

/// Pillow's `RGBA` to `RGBa` and `LA` to `La`.
fn premultiply(samples: &[u8], channels: usize) -> Vec<u8> {
    let mut out = samples.to_vec();
    for pixel in out.chunks_exact_mut(channels) {
        let (colours, alpha) = pixel.split_at_mut(channels - 1);
        for colour in colours {
            let product = u32::from(*colour) * u32::from(alpha[0]) + 128;
            *colour = (((product >> 8) + product) >> 8) as u8;
        }
    }
    out
}

/// Pillow's `RGBa` to `RGBA` and `La` to `LA`.
fn divide_by_alpha(samples: &mut [u8], channels: usize) {
    for pixel in samples.chunks_exact_mut(channels) {
        let (colours, alpha) = pixel.split_at_mut(channels - 1);
        let alpha = u32::from(alpha[0]);
        if alpha != 0 && alpha != 255 {
            for colour in colours {
                *colour = (255 * u32::from(*colour) / alpha).min(255) as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preprocess(size: usize, fit: Fit) -> Preprocess {
        Preprocess { size, patch: 16, mean: [0.5; 3], std: [0.5; 3], fit, chain: Chain::ResizeThenRgb }
    }

    fn axis(size: usize, fit: Fit, width: usize, height: usize) -> (AxisMap, AxisMap) {
        let g = preprocess(size, fit).geometry(width, height);
        (g.across, g.down)
    }

    #[test]
    fn squares_of_all_fits() {
        let (x, y) = axis(240, Fit::Squash, 640, 480);
        assert_eq!((x.scaled, x.offset, y.scaled, y.offset), (240, 0, 240, 0));
        let (x, y) = axis(240, Fit::Crop, 640, 480);
        assert_eq!((x.scaled, x.offset, y.scaled, y.offset), (320, -40, 240, 0));
        assert_eq!((x.visible(), y.visible()), (80..560, 0..480));
        let (x, y) = axis(240, Fit::Keep, 640, 480);
        assert_eq!((x.size, x.scaled, y.size, y.scaled), (272, 272, 208, 208));
        assert_eq!((x.visible(), y.visible()), (0..640, 0..480));
        let (x, y) = axis(240, Fit::Keep, 100, 100);
        assert_eq!((x.size, y.size), (240, 240));
        assert_eq!((half_to_even(5), half_to_even(7), half_to_even(4)), (2, 4, 2));
    }

    #[test]
    fn extreme_shapes_cost_only_the_square() {
        for (width, height) in [(1, 1), (1, 20_000), (20_000, 1), (3, 2)] {
            let samples = vec![200; width * height * 3];
            let picture = Picture::new(width, height, PixelMode::Rgb, samples).unwrap();
            for fit in [Fit::Squash, Fit::Crop, Fit::Keep] {
                let out = preprocess(32, fit).run(&picture).unwrap();
                let (_, rows, columns) = out.tensor.dim();
                assert!(rows * columns <= 283 * 16 * 16 && (fit == Fit::Keep || (rows, columns) == (32, 32)));
                assert!(out.tensor.iter().all(|&v| v > 0.5), "{fit:?} {width} {height}");
            }
        }
        let nothing = Picture::new(0, 5, PixelMode::Rgb, vec![]).unwrap();
        assert!(matches!(preprocess(32, Fit::Squash).run(&nothing), Err(ImageError::NoPixels { .. })));
    }

    #[test]
    fn alpha_round_trip() {
        let samples = [10, 20, 30, 255, 10, 20, 30, 0, 200, 100, 50, 128];
        let mut out = premultiply(&samples, 4);
        assert_eq!(out[4..8], [0, 0, 0, 0]);
        divide_by_alpha(&mut out, 4);
        assert_eq!(out[..4], samples[..4]);
        assert!(out[8..].iter().zip(&samples[8..]).all(|(a, b)| a.abs_diff(*b) <= 1));
    }
}
