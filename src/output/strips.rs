//! Painted maps in strips of rows, so that the pictures of a large picture are never in memory as a whole.

use std::ops::Range;

use ndarray::Array2;

use super::paint::{
    ColourScale, NO_ENDS, ends, heatmap_within, mask, outline_within, overlay_within, thickness,
};
use crate::image::Picture;
use crate::map::GreyMap;

/// Pixels of a strip.
const PIXELS: usize = 4 << 20;

/// What is painted.
#[derive(Clone, Copy)]
pub(super) struct Strips<'a> {
    grey: &'a GreyMap,
    /// Width and height of the picture.
    pub size: (usize, usize),
    scale: ColourScale,
    threshold: f32,
    /// Rows of a strip.
    step: usize,
}

impl<'a> Strips<'a> {
    pub fn new(grey: &'a GreyMap, size: (usize, usize), scale: ColourScale, threshold: f32) -> Self {
        let (width, height) = size;
        // Not much less than what a strip sees of its neighbours.
        let step = (PIXELS / width.max(1)).max(thickness(width, height) as usize);
        Self { grey, size, scale, threshold, step }
    }

    /// The samples of [`super::heatmap`].
    pub fn heatmap(self) -> impl Iterator<Item = Vec<u8>> + use<'a> {
        let ends = self.ends();
        self.rows().map(move |rows| heatmap_within(self.map(rows).view(), self.scale, ends).into_raw())
    }

    /// The samples of [`super::overlay`] with [`super::outline_regions`].
    pub fn overlay(self, picture: &Picture) -> impl Iterator<Item = Vec<u8>> {
        let (ends, (width, height)) = (self.ends(), self.size);
        let thickness = thickness(width, height);
        self.rows().map(move |rows| {
            // A line depends on the rows next to it.
            let near = rows.start.saturating_sub(thickness as usize)
                ..rows.end.saturating_add(thickness as usize).min(height);
            let map = self.map(near.clone());
            let mut strip = picture.rgb_rows(near.clone());
            overlay_within(&mut strip, map.view(), self.scale, ends);
            outline_within(&mut strip, map.view(), self.threshold, thickness);
            let mut samples = strip.into_raw();
            samples.truncate((rows.end - near.start) * width * 3);
            samples.drain(..(rows.start - near.start) * width * 3);
            samples
        })
    }

    /// The samples of [`super::mask`].
    pub fn mask(self) -> impl Iterator<Item = Vec<u8>> + use<'a> {
        self.rows().map(move |rows| mask(self.map(rows).view(), self.threshold).into_raw())
    }

    fn map(&self, rows: Range<usize>) -> Array2<f32> {
        self.grey.rows_at_size(self.size.0, self.size.1, rows)
    }

    /// The lowest and the highest value, where the colours depend on them.
    fn ends(&self) -> (f32, f32) {
        let whole = |before, rows| ends(before, self.map(rows).view());
        if self.scale == ColourScale::Picture { self.rows().fold(NO_ENDS, whole) } else { NO_ENDS }
    }

    fn rows(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (step, height) = (self.step, self.size.1);
        (0..height).step_by(step).map(move |start| start..(start + step).min(height))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{heatmap, outline_regions, overlay};
    use super::*;
    use crate::image::PixelMode;
    use crate::map::MapRange;

    #[test]
    fn strips_are_the_rows_of_the_whole() {
        let (width, height) = (30, 1600);
        let values = Array2::from_shape_fn((40, 3), |(y, x)| 0.5 + (y as f32 * 1.3 + x as f32).sin() / 2.0);
        let grey = GreyMap::new(values.view());
        let samples = (0..width * height * 3).map(|i| (i % 251) as u8).collect();
        let picture = Picture::new(width, height, PixelMode::Rgb, samples).unwrap();
        let map = grey.at_size(width, height);
        for scale in [ColourScale::Picture, ColourScale::Range(MapRange::default())] {
            let mut whole = overlay(&picture.to_rgb(), map.view(), scale);
            outline_regions(&mut whole, map.view(), 0.6);
            for step in [3, 64, 1599, 2000] {
                let strips = Strips { step, ..Strips::new(&grey, (width, height), scale, 0.6) };
                assert_eq!(strips.overlay(&picture).flatten().collect::<Vec<u8>>(), *whole.as_raw());
                let hot = strips.heatmap().flatten().collect::<Vec<u8>>();
                assert_eq!(hot, heatmap(map.view(), scale).into_raw());
                let black = strips.mask().flatten().collect::<Vec<u8>>();
                assert_eq!(black, mask(map.view(), 0.6).into_raw());
            }
        }
    }
}
