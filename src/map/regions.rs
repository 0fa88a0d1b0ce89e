//! Connected regions of a thresholded map.

use std::cell::RefCell;
use std::ops::Range;

use ndarray::{Array2, ArrayView2};

use super::components::components;

/// A connected area at or above a threshold.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Region {
    /// Left edge of the bounding box, in pixels.
    pub x: usize,
    /// Upper edge of the bounding box, in pixels.
    pub y: usize,
    /// Width of the bounding box, in pixels.
    pub width: usize,
    /// Height of the bounding box, in pixels.
    pub height: usize,
    /// Pixels at or above the threshold.
    pub area: usize,
    /// The largest value.
    pub peak: f32,
}

/// The 8-connected regions of `map` where it is at least `threshold`, the highest peak first.
pub fn regions(map: ArrayView2<'_, f32>, threshold: f32) -> Vec<Region> {
    let (height, width) = map.dim();
    found(width, height, threshold, |y, x| map[(y, x)])
}

/// [`regions`] of a map of `height` rows that is never in memory as a whole: `rows` makes some of its rows.
pub fn regions_by_rows(
    (height, width): (usize, usize),
    threshold: f32,
    rows: impl Fn(Range<usize>) -> Array2<f32>,
) -> Vec<Region> {
    let held = RefCell::new((0..0, Array2::zeros((0, 0))));
    found(width, height, threshold, |y, x| {
        let mut held = held.borrow_mut();
        if !held.0.contains(&y) {
            let wanted = y..(y + ROWS).min(height);
            *held = (wanted.clone(), rows(wanted));
        }
        held.1[(y - held.0.start, x)]
    })
}

/// Rows that are made at once.
const ROWS: usize = 64;

fn found(width: usize, height: usize, threshold: f32, value: impl Fn(usize, usize) -> f32) -> Vec<Region> {
    let found = components(width, height, |y, x| value(y, x) >= threshold);
    let mut boxes: Vec<Option<Bounds>> = vec![None; found.count];
    for run in &found.runs {
        let peak = (run.from..run.to).map(|x| value(run.y, x)).fold(f32::NEG_INFINITY, f32::max);
        let of_run = Bounds {
            left: run.from,
            right: run.to,
            top: run.y,
            bottom: run.y + 1,
            area: run.to - run.from,
            peak,
        };
        let bounds = &mut boxes[run.component];
        *bounds = Some(bounds.map_or(of_run, |b| b.and(of_run)));
    }
    let mut found: Vec<Region> = boxes.into_iter().flatten().map(Region::from).collect();
    found.sort_by(|a, b| b.peak.total_cmp(&a.peak).then_with(|| (a.y, a.x).cmp(&(b.y, b.x))));
    found
}

#[derive(Clone, Copy)]
struct Bounds {
    left: usize,
    right: usize,
    top: usize,
    bottom: usize,
    area: usize,
    peak: f32,
}

impl Bounds {
    fn and(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            right: self.right.max(other.right),
            top: self.top.min(other.top),
            bottom: self.bottom.max(other.bottom),
            area: self.area + other.area,
            peak: self.peak.max(other.peak),
        }
    }
}

impl From<Bounds> for Region {
    fn from(b: Bounds) -> Self {
        Self {
            x: b.left,
            y: b.top,
            width: b.right - b.left,
            height: b.bottom - b.top,
            area: b.area,
            peak: b.peak,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(rows: &[&str]) -> Array2<f32> {
        Array2::from_shape_fn((rows.len(), rows[0].len()), |(y, x)| match rows[y].as_bytes()[x] {
            b'.' => 0.0,
            digit => f32::from(digit - b'0'),
        })
    }

    #[test]
    fn boxes_areas_and_peaks() {
        let map = parse(&["1..2.", ".3...", "....9", "...9."]);
        let found = regions(map.view(), 1.0);
        let expected = [
            Region { x: 3, y: 2, width: 2, height: 2, area: 2, peak: 9.0 },
            Region { x: 0, y: 0, width: 2, height: 2, area: 2, peak: 3.0 },
            Region { x: 3, y: 0, width: 1, height: 1, area: 1, peak: 2.0 },
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_spiral_is_one_region_and_nothing_is_none() {
        let map = parse(&["11111", "....1", "111.1", "1...1", "11111"]);
        assert_eq!(regions(map.view(), 0.5).len(), 1);
        assert_eq!(regions(map.view(), 2.0), []);
        assert_eq!(regions(Array2::zeros((0, 0)).view(), 0.0), []);
    }

    /// Flood fill, the definition.
    fn count_by_flooding(map: &Array2<f32>, threshold: f32) -> Vec<usize> {
        let (h, w) = map.dim();
        let mut seen = Array2::from_elem((h, w), false);
        let mut areas = Vec::new();
        for start in 0..h * w {
            let mut stack = vec![(start / w, start % w)];
            let mut area = 0;
            while let Some((y, x)) = stack.pop() {
                if seen[(y, x)] || map[(y, x)] < threshold {
                    continue;
                }
                seen[(y, x)] = true;
                area += 1;
                for ny in y.saturating_sub(1)..(y + 2).min(h) {
                    for nx in x.saturating_sub(1)..(x + 2).min(w) {
                        stack.push((ny, nx));
                    }
                }
            }
            if area > 0 {
                areas.push(area);
            }
        }
        areas.sort();
        areas
    }

    proptest! {
        #[test]
        fn agrees_with_flood_fill(w in 1usize..12, bits in proptest::collection::vec(any::<bool>(), 1..120)) {
            let h = bits.len().div_ceil(w);
            let map = Array2::from_shape_fn((h, w), |(y, x)| f32::from(*bits.get(y * w + x).unwrap_or(&false)));
            let mut areas: Vec<usize> = regions(map.view(), 0.5).iter().map(|r| r.area).collect();
            areas.sort();
            prop_assert_eq!(areas, count_by_flooding(&map, 0.5));
        }
    }
}
