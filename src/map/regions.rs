//! Connected regions of a thresholded map.

use ndarray::ArrayView2;

/// A connected area at or above a threshold.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
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
///
/// Works on runs of pixels, so its cost is one pass over the map.
pub fn regions(map: ArrayView2<'_, f32>, threshold: f32) -> Vec<Region> {
    let mut groups = Groups::default();
    let mut above: Vec<Run> = Vec::new();
    for (y, row) in map.rows().into_iter().enumerate() {
        let mut current = Vec::new();
        let mut start = None;
        let mut peak = f32::NEG_INFINITY;
        // One step past the row closes a run that reaches its end.
        for (x, value) in row.iter().copied().chain([f32::NEG_INFINITY]).enumerate() {
            match (start, value >= threshold) {
                (None, true) => (start, peak) = (Some(x), value),
                (Some(_), true) => peak = peak.max(value),
                (Some(from), false) => {
                    current.push(Run { from, to: x, group: groups.add(from, x, y, peak) });
                    start = None;
                }
                (None, false) => {}
            }
        }
        groups.join_rows(&above, &current);
        above = current;
    }
    let mut found = groups.finish();
    found.sort_by(|a, b| b.peak.total_cmp(&a.peak).then_with(|| (a.y, a.x).cmp(&(b.y, b.x))));
    found
}

/// Pixels `from..to` of one row.
struct Run {
    from: usize,
    to: usize,
    group: usize,
}

/// Union-find over runs; the root of a group holds what is known of it.
#[derive(Default)]
struct Groups {
    parent: Vec<usize>,
    bounds: Vec<Bounds>,
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

impl Groups {
    fn add(&mut self, from: usize, to: usize, y: usize, peak: f32) -> usize {
        self.parent.push(self.parent.len());
        self.bounds.push(Bounds { left: from, right: to, top: y, bottom: y + 1, area: to - from, peak });
        self.parent.len() - 1
    }

    fn root(&mut self, mut group: usize) -> usize {
        while self.parent[group] != group {
            self.parent[group] = self.parent[self.parent[group]];
            group = self.parent[group];
        }
        group
    }

    /// Joins the runs of neighbouring rows that touch, corners included.
    fn join_rows(&mut self, above: &[Run], below: &[Run]) {
        let (mut a, mut b) = (0, 0);
        while let (Some(upper), Some(lower)) = (above.get(a), below.get(b)) {
            if upper.from <= lower.to && lower.from <= upper.to {
                self.join(upper.group, lower.group);
            }
            if upper.to < lower.to {
                a += 1;
            } else {
                b += 1;
            }
        }
    }

    fn join(&mut self, one: usize, other: usize) {
        let (keep, drop) = (self.root(one), self.root(other));
        if keep == drop {
            return;
        }
        self.parent[drop] = keep;
        let (a, b) = (self.bounds[keep], self.bounds[drop]);
        self.bounds[keep] = Bounds {
            left: a.left.min(b.left),
            right: a.right.max(b.right),
            top: a.top.min(b.top),
            bottom: a.bottom.max(b.bottom),
            area: a.area + b.area,
            peak: a.peak.max(b.peak),
        };
    }

    fn finish(self) -> Vec<Region> {
        let roots = self.parent.iter().enumerate().filter(|&(i, &p)| i == p).map(|(i, _)| self.bounds[i]);
        roots
            .map(|b| Region {
                x: b.left,
                y: b.top,
                width: b.right - b.left,
                height: b.bottom - b.top,
                area: b.area,
                peak: b.peak,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
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
