//! The part of a picture that a thumbnail shows: the thing in front of a plain background.

use ::image::RgbImage;

use crate::map::Region;

/// Share of the shorter side that counts as border.
const BORDER: f64 = 0.02;
/// Largest difference within a plain border, 0..255: of nine tenths of its pixels from their median.
const PLAIN: u8 = 24;
/// Smallest difference from the background, in such differences and in absolute terms, of pixels in front of it.
const CONTRAST: (u8, u8) = (3, 20);
/// Share of such pixels in a row or column of the thing.
const FILLED: f64 = 0.02;
/// Space around the thing, as a share of the picture's sides.
const MARGIN: f64 = 0.04;
/// Largest share of the picture for which cropping is worth it.
const WORTH: f64 = 0.7;
/// Smallest share of a side.
const LEAST: f64 = 0.2;

/// A rectangle of a picture, in shares of its sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Part {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Part {
    /// The thing before a plain background, with all `regions` of a picture of `size`; `None` if the background is not
    /// plain, or the thing nearly fills the picture.
    pub fn of(picture: &RgbImage, regions: &[Region], size: (usize, usize)) -> Option<Self> {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let (background, spread) = background(picture)?;
        let contrast = spread.saturating_mul(CONTRAST.0).max(CONTRAST.1);
        let (mut columns, mut rows) = (vec![0usize; width], vec![0usize; height]);
        for (x, y, pixel) in picture.enumerate_pixels() {
            if difference(pixel.0, background) > contrast {
                columns[x as usize] += 1;
                rows[y as usize] += 1;
            }
        }
        let (mut left, mut right) = extent(&columns, height)?;
        let (mut top, mut bottom) = extent(&rows, width)?;
        for region in regions {
            let share = |pixel: usize, side: usize| pixel as f64 / side.max(1) as f64;
            left = left.min(share(region.x, size.0));
            right = right.max(share(region.x + region.width, size.0));
            top = top.min(share(region.y, size.1));
            bottom = bottom.max(share(region.y + region.height, size.1));
        }
        let around = |low: f64, high: f64| {
            let missing = (LEAST - (high - low)).max(0.0) / 2.0;
            ((low - MARGIN - missing).max(0.0), (high + MARGIN + missing).min(1.0))
        };
        ((left, right), (top, bottom)) = (around(left, right), around(top, bottom));
        ((right - left) * (bottom - top) <= WORTH).then_some(Self { left, right, top, bottom })
    }

    /// The sides of the whole picture at the scale where the part has these sides; not less than these.
    pub fn whole(&self, (width, height): (usize, usize)) -> (usize, usize) {
        let side = |part: usize, share: f64| ((part as f64 / share).round() as usize).max(part);
        (side(width, self.right - self.left), side(height, self.bottom - self.top))
    }

    /// Left edge, upper edge, width and height in a picture of these sides, in pixels; at least one pixel.
    pub fn pixels(&self, width: usize, height: usize) -> [usize; 4] {
        let side = |low: f64, high: f64, side: usize| {
            let start = ((low * side as f64) as usize).min(side.saturating_sub(1));
            (start, ((high * side as f64).ceil() as usize).min(side).saturating_sub(start).max(1))
        };
        let (x, wide) = side(self.left, self.right, width);
        let (y, high) = side(self.top, self.bottom, height);
        [x, y, wide, high]
    }
}

/// The median colour of the picture's border, and how much nine tenths of its pixels differ from it; `None` if it is
/// not plain.
fn background(picture: &RgbImage) -> Option<([u8; 3], u8)> {
    let (width, height) = picture.dimensions();
    let deep = ((f64::from(width.min(height)) * BORDER) as u32).max(1);
    let outside =
        |x, y| x < deep || y < deep || x >= width - deep.min(width) || y >= height - deep.min(height);
    let border: Vec<[u8; 3]> =
        picture.enumerate_pixels().filter(|(x, y, _)| outside(*x, *y)).map(|(.., pixel)| pixel.0).collect();
    let middle = |channel: usize| {
        let mut values: Vec<u8> = border.iter().map(|pixel| pixel[channel]).collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied()
    };
    let median = [middle(0)?, middle(1)?, middle(2)?];
    let mut differences: Vec<u8> = border.iter().map(|pixel| difference(*pixel, median)).collect();
    differences.sort_unstable();
    let spread = differences.get(differences.len() * 9 / 10).copied()?;
    (spread <= PLAIN).then_some((median, spread))
}

fn difference(a: [u8; 3], b: [u8; 3]) -> u8 {
    a.into_iter().zip(b).map(|(a, b)| a.abs_diff(b)).max().unwrap_or(0)
}

/// The first and the last line with enough pixels in front, as shares of all lines.
fn extent(counts: &[usize], across: usize) -> Option<(f64, f64)> {
    let filled = |&count: &usize| count as f64 >= FILLED * across as f64;
    let first = counts.iter().position(filled)?;
    let last = counts.iter().rposition(filled)?;
    Some((first as f64 / counts.len() as f64, (last + 1) as f64 / counts.len() as f64))
}

#[cfg(test)]
mod tests {
    use ::image::Rgb;

    use super::*;

    fn thing(background: impl Fn(u32, u32) -> u8) -> RgbImage {
        RgbImage::from_fn(100, 80, |x, y| {
            let inside = (40..60).contains(&x) && (20..50).contains(&y);
            Rgb(if inside { [200, 60, 60] } else { [background(x, y); 3] })
        })
    }

    #[test]
    fn the_thing_is_found_before_a_plain_background() {
        let found = Part::of(&thing(|x, y| 90 + ((x * 7 + y * 3) % 9) as u8), &[], (100, 80)).unwrap();
        assert_eq!(found.pixels(100, 80), [36, 16, 28, 38]);
        assert_eq!(found.pixels(1, 1), [0, 0, 1, 1]);
    }

    #[test]
    fn regions_stay_in_view() {
        let region = Region { x: 900, y: 0, width: 50, height: 40, area: 9, peak: 0.9 };
        let found = Part::of(&thing(|_, _| 90), &[region], (1000, 800)).unwrap();
        assert_eq!(found.pixels(1000, 800), [360, 0, 630, 532]);
    }

    #[test]
    fn textures_and_full_pictures_stay_whole() {
        assert_eq!(Part::of(&thing(|x, y| ((x * 37 + y * 91) % 200) as u8), &[], (100, 80)), None);
        assert_eq!(Part::of(&RgbImage::new(40, 40), &[], (40, 40)), None);
        assert_eq!(Part::of(&RgbImage::new(0, 0), &[], (1, 1)), None);
    }
}
