//! Heatmaps, overlays and masks.

use ::image::{GrayImage, ImageBuffer, Luma, Rgb, RgbImage};
use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;

use crate::map::MapRange;

/// How map values become colours.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum ColourScale {
    /// The same scale for every picture: black below the level of good parts, the hottest colour at the level of
    /// clear damage.
    Range(MapRange),
    /// From the smallest to the largest value of this picture: shows structure even without defects, but the
    /// colours of two pictures cannot be compared.
    Picture,
}

impl Default for ColourScale {
    fn default() -> Self {
        Self::Range(MapRange::default())
    }
}

/// The place on the colour map where the colours of overlays begin: the darker part is nearly black and would only
/// darken the picture.
const FIRST_COLOUR: f32 = 0.4;

/// Opacity of the coldest and the hottest colour in an overlay.
const OPACITY: (f32, f32) = (0.35, 0.8);

/// The lowest and the highest value of a map that is empty.
pub(super) const NO_ENDS: (f32, f32) = (f32::MAX, f32::MIN);

/// The lowest and the highest value of a map and of what was seen before.
pub(super) fn ends(before: (f32, f32), map: ArrayView2<'_, f32>) -> (f32, f32) {
    map.iter().fold(before, |(low, high), &v| (low.min(v), high.max(v)))
}

impl ColourScale {
    /// Maps a probability of a picture with a lowest and a highest one to its heat, 0..1; `None`: no colour.
    fn heat(self, (low, high): (f32, f32)) -> impl Fn(f32) -> Option<f32> + Sync + use<> {
        let span = if high > low { high - low } else { 1.0 };
        move |value| match self {
            Self::Range(range) => (value > range.good()).then(|| range.position(value)),
            Self::Picture => Some(((value - low) / span).clamp(0.0, 1.0)),
        }
    }
}

/// Paints probabilities `[H, W]` with a perceptually uniform colour map (inferno: dark is cold).
pub fn heatmap(map: ArrayView2<'_, f32>, scale: ColourScale) -> RgbImage {
    heatmap_within(map, scale, ends(NO_ENDS, map))
}

/// [`heatmap`] of a part of a map with these ends.
pub(super) fn heatmap_within(map: ArrayView2<'_, f32>, scale: ColourScale, ends: (f32, f32)) -> RgbImage {
    let heat = scale.heat(ends);
    let palette = palette();
    let (height, width) = map.dim();
    ImageBuffer::from_fn(width as u32, height as u32, |x, y| {
        Rgb(heat(map[(y as usize, x as usize)]).map_or([0; 3], |heat| palette[index(heat)]))
    })
}

/// Paints the hot part of probabilities `[H, W]` over a picture of this size: the hotter, the more opaque.
///
/// If the sizes of map and picture differ, only their common upper left area is painted.
pub fn overlay(picture: &RgbImage, map: ArrayView2<'_, f32>, scale: ColourScale) -> RgbImage {
    let mut out = picture.clone();
    overlay_within(&mut out, map, scale, ends(NO_ENDS, map));
    out
}

/// [`overlay`] of a part of a map with these ends.
pub(super) fn overlay_within(
    out: &mut RgbImage,
    map: ArrayView2<'_, f32>,
    scale: ColourScale,
    ends: (f32, f32),
) {
    let heat = scale.heat(ends);
    let colours = palette();
    let width = out.width() as usize;
    out.par_chunks_exact_mut(3 * width.max(1)).zip(map.outer_iter().collect::<Vec<_>>()).for_each(
        |(row, values)| {
            for (pixel, &value) in row.as_chunks_mut::<3>().0.iter_mut().zip(values) {
                let Some(heat) = heat(value) else { continue };
                let opacity = match scale {
                    ColourScale::Range(_) => OPACITY.0 + (OPACITY.1 - OPACITY.0) * heat,
                    ColourScale::Picture => OPACITY.1 * heat,
                };
                for (channel, hot) in pixel.iter_mut().zip(colours[index(first_colour(heat))]) {
                    *channel =
                        (f32::from(*channel) * (1.0 - opacity) + f32::from(hot) * opacity).round() as u8;
                }
            }
        },
    );
}

/// Draws a thin line around the regions of probabilities `[H, W]` at or above `threshold`: white outside, black
/// inside, so that it is seen on any picture.
pub fn outline_regions(picture: &mut RgbImage, map: ArrayView2<'_, f32>, threshold: f32) {
    let (width, height) = picture.dimensions();
    outline_within(picture, map, threshold, thickness(width as usize, height as usize));
}

/// Pixels of a line in a picture of this size.
pub(super) fn thickness(width: usize, height: usize) -> u32 {
    (width.max(height) / 500).max(1) as u32
}

/// [`outline_regions`] of a part of a picture; `thickness` rows at its borders may differ from those of the whole.
pub(super) fn outline_within(
    picture: &mut RgbImage,
    map: ArrayView2<'_, f32>,
    threshold: f32,
    thickness: u32,
) {
    let inside = |x: u32, y: u32| map.get((y as usize, x as usize)).is_some_and(|&v| v >= threshold);
    if !map.iter().any(|&v| v >= threshold) {
        return;
    }
    outline(picture, inside, Rgb([0; 3]), thickness);
    outline(picture, |x, y| !inside(x, y), Rgb([255; 3]), thickness);
}

/// Draws the inner border of the mask `inside(x, y)` over a picture: its pixels with one outside within `thickness`
/// pixels along both axes.
pub fn outline(picture: &mut RgbImage, inside: impl Fn(u32, u32) -> bool, colour: Rgb<u8>, thickness: u32) {
    let (width, height) = picture.dimensions();
    let shape = (height as usize, width as usize);
    let outside = Array2::from_shape_fn(shape, |(y, x)| !inside(x as u32, y as u32));
    let near = grown(&outside, thickness as usize);
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        let at = (y as usize, x as usize);
        if near[at] && !outside[at] {
            *pixel = colour;
        }
    }
}

/// Whether a pixel of the mask `[H, W]` is within `reach` pixels along both axes. One axis after the other, by counts
/// in a moving window: the time does not depend on `reach`.
fn grown(mask: &Array2<bool>, reach: usize) -> Array2<bool> {
    let along = |mask: &Array2<bool>, axis: Axis| {
        let mut out = mask.clone();
        for (source, mut line) in mask.lanes(axis).into_iter().zip(out.lanes_mut(axis)) {
            let length = source.len();
            let mut count = source.iter().take(reach).filter(|&&m| m).count();
            for at in 0..length {
                count += usize::from(at + reach < length && source[at + reach]);
                line[at] = count > 0;
                count -= usize::from(at >= reach && source[at - reach]);
            }
        }
        out
    };
    along(&along(mask, Axis(1)), Axis(0))
}

/// White where probabilities `[H, W]` reach `threshold`, black elsewhere.
pub fn mask(map: ArrayView2<'_, f32>, threshold: f32) -> GrayImage {
    let (height, width) = map.dim();
    ImageBuffer::from_fn(width as u32, height as u32, |x, y| {
        Luma([if map[(y as usize, x as usize)] >= threshold { 255 } else { 0 }])
    })
}

/// The position of an overlay's colour on the colour map.
pub(crate) fn first_colour(heat: f32) -> f32 {
    FIRST_COLOUR + (1.0 - FIRST_COLOUR) * heat
}

/// The colour map in 256 steps.
pub(crate) fn palette() -> [[u8; 3]; 256] {
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
    use ndarray::array;
    use proptest::prelude::*;

    fn brightness(pixel: &Rgb<u8>) -> u32 {
        pixel.0.iter().map(|&c| u32::from(c)).sum()
    }

    #[test]
    fn good_parts_are_black_and_everything_above_can_be_seen() {
        let map = array![[0.1, 0.3], [0.35, 0.6]];
        let range = MapRange::new(0.3, 0.6).unwrap();
        let painted = heatmap(map.view(), ColourScale::Range(range));
        assert_eq!((painted.get_pixel(0, 0).0, painted.get_pixel(1, 0).0), ([0; 3], [0; 3]));
        let (first, last) = (painted.get_pixel(0, 1), painted.get_pixel(1, 1));
        assert!(
            first.0.iter().any(|&c| c >= 64) && brightness(last) > 2 * brightness(first),
            "{first:?} {last:?}"
        );
        let stretched = heatmap(map.view(), ColourScale::Picture);
        assert_ne!(stretched.get_pixel(0, 0), stretched.get_pixel(1, 0));
        assert_eq!(stretched.get_pixel(1, 1), last);
    }

    #[test]
    fn a_constant_map_divides_by_nothing() {
        let map = Array2::from_elem((2, 3), 0.7);
        assert_eq!(heatmap(map.view(), ColourScale::Picture).dimensions(), (3, 2));
    }

    #[test]
    fn cold_pixels_of_an_overlay_are_the_pictures_own() {
        let picture = RgbImage::from_fn(3, 2, |x, y| Rgb([x as u8 * 80, y as u8 * 200, 7]));
        let map = array![[0.0, 0.2, 0.5], [0.4, 0.5, 1.0]];
        let painted = overlay(&picture, map.view(), ColourScale::default());
        for (x, y, pixel) in painted.enumerate_pixels() {
            assert_eq!(pixel == picture.get_pixel(x, y), (x, y) != (2, 1), "{x} {y}");
        }
    }

    #[test]
    fn regions_have_a_line_inside_and_one_outside() {
        let mut picture = RgbImage::from_pixel(7, 7, Rgb([90; 3]));
        let map = Array2::from_shape_fn((7, 7), |(y, x)| {
            f32::from(u8::from(y.abs_diff(3).max(x.abs_diff(3)) <= 1))
        });
        let untouched = picture.clone();
        outline_regions(&mut picture, map.view(), 1.5);
        assert_eq!(picture, untouched);
        outline_regions(&mut picture, map.view(), 0.5);
        let at = |x, y| picture.get_pixel(x, y).0[0];
        assert_eq!((at(0, 3), at(1, 3), at(2, 3), at(3, 3)), (90, 255, 0, 90));
    }

    proptest! {
        #[test]
        fn a_mask_grows_in_squares(
            width in 1usize..9,
            bits in proptest::collection::vec(proptest::bool::weighted(0.2), 1..60),
            reach in 0usize..6,
        ) {
            let height = bits.len().div_ceil(width);
            let at = |y: usize, x: usize| bits.get(y * width + x).copied().unwrap_or(false);
            let mask = Array2::from_shape_fn((height, width), |(y, x)| at(y, x));
            for ((y, x), &grew) in grown(&mask, reach).indexed_iter() {
                let near = |v: usize, end: usize| v.saturating_sub(reach)..(v + reach + 1).min(end);
                prop_assert_eq!(grew, near(y, height).any(|y| near(x, width).any(|x| mask[(y, x)])));
            }
        }
    }

    #[test]
    fn masks_include_the_threshold() {
        let map = array![[0.5, 0.49], [0.51, 0.0]];
        assert_eq!(mask(map.view(), 0.5).into_raw(), [255, 0, 255, 0]);
    }
}
