//! Heatmaps, overlays and masks.

use ::image::{GrayImage, ImageBuffer, Luma, Rgb, RgbImage};
use ndarray::ArrayView2;
use rayon::prelude::*;

/// How map values become colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ColourScale {
    /// The same scale for every picture: 0.5 (as close to normal as to damaged) and below has the coldest
    /// colour, 1 the hottest. Good parts stay dark.
    #[default]
    Fixed,
    /// From the smallest to the largest value of this picture: shows structure even without defects, but the
    /// colours of two pictures cannot be compared.
    Auto,
}

impl ColourScale {
    /// Maps a probability to a position on the colour map, 0..1, for this picture.
    fn positions(self, map: ArrayView2<'_, f32>) -> impl Fn(f32) -> f32 + Sync + use<> {
        let (low, high) = match self {
            Self::Fixed => (0.5, 1.0),
            Self::Auto => (map.iter()).fold((f32::MAX, f32::MIN), |(lo, hi), &v| (lo.min(v), hi.max(v))),
        };
        let span = if high > low { high - low } else { 1.0 };
        move |value| ((value - low) / span).clamp(0.0, 1.0)
    }
}

/// Opacity of the hottest colour in an overlay.
const OVERLAY_OPACITY: f32 = 0.75;

/// Paints probabilities `[H, W]` with a perceptually uniform colour map (inferno: dark is cold).
pub fn heatmap(map: ArrayView2<'_, f32>, scale: ColourScale) -> RgbImage {
    let position = scale.positions(map);
    let palette = palette();
    let (height, width) = map.dim();
    ImageBuffer::from_fn(width as u32, height as u32, |x, y| {
        Rgb(palette[index(position(map[(y as usize, x as usize)]))])
    })
}

/// Paints the hot part of probabilities `[H, W]` over a picture of this size: the hotter, the more opaque.
///
/// If the sizes of map and picture differ, only their common upper left area is painted.
pub fn overlay(picture: &RgbImage, map: ArrayView2<'_, f32>, scale: ColourScale) -> RgbImage {
    let position = scale.positions(map);
    let palette = palette();
    let mut out = picture.clone();
    let width = picture.width() as usize;
    out.par_chunks_exact_mut(3 * width.max(1)).zip(map.outer_iter().collect::<Vec<_>>()).for_each(
        |(row, values)| {
            for (pixel, &value) in row.as_chunks_mut::<3>().0.iter_mut().zip(values) {
                let heat = position(value);
                let opacity = OVERLAY_OPACITY * heat;
                // The lower third of the colour map is nearly black and would only darken the picture.
                let colour = palette[index(0.35 + 0.65 * heat)];
                for (channel, hot) in pixel.iter_mut().zip(colour) {
                    *channel =
                        (f32::from(*channel) * (1.0 - opacity) + f32::from(hot) * opacity).round() as u8;
                }
            }
        },
    );
    out
}

/// Draws the inner border of the mask `inside(x, y)` over a picture.
pub fn outline(picture: &mut RgbImage, inside: impl Fn(u32, u32) -> bool, colour: Rgb<u8>, thickness: u32) {
    let (width, height) = picture.dimensions();
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        let near = |v: u32, end: u32| v.saturating_sub(thickness)..(v + thickness + 1).min(end);
        if inside(x, y) && near(y, height).any(|y| near(x, width).any(|x| !inside(x, y))) {
            *pixel = colour;
        }
    }
}

/// White where probabilities `[H, W]` reach `threshold`, black elsewhere.
pub fn mask(map: ArrayView2<'_, f32>, threshold: f32) -> GrayImage {
    let (height, width) = map.dim();
    ImageBuffer::from_fn(width as u32, height as u32, |x, y| {
        Luma([if map[(y as usize, x as usize)] >= threshold { 255 } else { 0 }])
    })
}

fn palette() -> [[u8; 3]; 256] {
    std::array::from_fn(|i| {
        let colorous::Color { r, g, b } = colorous::INFERNO.eval_continuous(i as f64 / 255.0);
        [r, g, b]
    })
}

fn index(position: f32) -> usize {
    (position * 255.0).round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    #[test]
    fn the_fixed_scale_keeps_good_parts_dark() {
        let map = array![[0.1, 0.5], [0.75, 1.0]];
        let fixed = heatmap(map.view(), ColourScale::Fixed);
        assert_eq!(fixed.get_pixel(0, 0), fixed.get_pixel(1, 0));
        let brightness = |x, y| fixed.get_pixel(x, y).0.iter().map(|&c| u32::from(c)).sum::<u32>();
        assert!(brightness(0, 0) < 20 && brightness(0, 1) > 200 && brightness(1, 1) > brightness(0, 1));
        let auto = heatmap(map.view(), ColourScale::Auto);
        assert_ne!(auto.get_pixel(0, 0), auto.get_pixel(1, 0));
        assert_eq!(auto.get_pixel(1, 1), fixed.get_pixel(1, 1));
    }

    #[test]
    fn a_constant_map_divides_by_nothing() {
        let map = Array2::from_elem((2, 3), 0.7);
        assert_eq!(heatmap(map.view(), ColourScale::Auto).dimensions(), (3, 2));
    }

    #[test]
    fn cold_pixels_of_an_overlay_are_the_pictures_own() {
        let picture = RgbImage::from_fn(3, 2, |x, y| Rgb([x as u8 * 80, y as u8 * 200, 7]));
        let map = array![[0.0, 0.2, 0.5], [0.4, 0.5, 1.0]];
        let painted = overlay(&picture, map.view(), ColourScale::Fixed);
        for (x, y, pixel) in painted.enumerate_pixels() {
            assert_eq!(pixel == picture.get_pixel(x, y), (x, y) != (2, 1), "{x} {y}");
        }
    }

    #[test]
    fn masks_include_the_threshold() {
        let map = array![[0.5, 0.49], [0.51, 0.0]];
        assert_eq!(mask(map.view(), 0.5).into_raw(), [255, 0, 255, 0]);
    }
}
