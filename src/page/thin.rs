//! Thinning a curve for drawing.
//!
//! A pixel-level ROC curve may have a point per pixel; a chart is a few hundred pixels wide. Two steps, in the
//! unit square of the chart:
//!
//! 1. a point within [`RADIUS`] of the last kept one, in both directions, is dropped (one pass, no copy of the
//!    input; a monotone curve keeps at most 2 / `RADIUS` points);
//! 2. Ramer-Douglas-Peucker, best first: the point farthest from the line drawn so far is added, until none is
//!    farther than [`TOLERANCE`] or [`MOST_POINTS`] are in use.
//!
//! When step 2 ends by its tolerance, the area between the curve and its drawing is at most
//! `(RADIUS + TOLERANCE) * length`, and a monotone curve in the unit square is no longer than 2: 6e-4.

use std::{cmp::Ordering, collections::BinaryHeap};

/// Points closer than this to the last kept one are dropped: a thirtieth of a pixel on a chart 340 pixels wide.
const RADIUS: f64 = 1e-4;

/// A drawing is not refined where it is this close to the curve.
pub(super) const TOLERANCE: f64 = 2e-4;

/// No drawing has more points than this.
pub(super) const MOST_POINTS: usize = 500;

/// The points that draw the same line as `points`, which lie in the unit square and are finite; the first and
/// the last stay.
pub(super) fn thin(points: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let spread = drop_neighbours(points);
    if spread.len() <= 2 {
        return spread;
    }
    let end = spread.len() - 1;
    let mut kept = vec![0, end];
    let mut spans = BinaryHeap::from_iter(Span::between(&spread, 0, end));
    while kept.len() < MOST_POINTS
        && let Some(span) = spans.pop()
        && span.deviation > TOLERANCE
    {
        kept.push(span.farthest);
        spans.extend(Span::between(&spread, span.first, span.farthest));
        spans.extend(Span::between(&spread, span.farthest, span.last));
    }
    kept.sort_unstable();
    kept.into_iter().map(|at| spread[at]).collect()
}

fn drop_neighbours(points: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut spread: Vec<(f64, f64)> = Vec::new();
    let mut dropped = None;
    for point in points {
        match spread.last() {
            Some(kept) if (point.0 - kept.0).abs() < RADIUS && (point.1 - kept.1).abs() < RADIUS => {
                dropped = Some(point);
            }
            _ => {
                spread.push(point);
                dropped = None;
            }
        }
    }
    spread.extend(dropped);
    spread
}

/// A piece of the curve drawn as one line, and where that line is worst.
#[derive(PartialEq)]
struct Span {
    deviation: f64,
    first: usize,
    farthest: usize,
    last: usize,
}

impl Span {
    /// `None` where no point lies between `first` and `last`.
    fn between(points: &[(f64, f64)], first: usize, last: usize) -> Option<Self> {
        (first + 1..last)
            .map(|at| (distance(points[at], points[first], points[last]), at))
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(deviation, farthest)| Self { deviation, first, farthest, last })
    }
}

impl Eq for Span {}

impl PartialOrd for Span {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Span {
    fn cmp(&self, other: &Self) -> Ordering {
        self.deviation.total_cmp(&other.deviation).then_with(|| self.first.cmp(&other.first))
    }
}

/// From a point to the segment `a`-`b`; to the segment, not the line, for a curve may turn back.
fn distance(point: (f64, f64), a: (f64, f64), b: (f64, f64)) -> f64 {
    let along = (b.0 - a.0, b.1 - a.1);
    let from = (point.0 - a.0, point.1 - a.1);
    let squared = along.0 * along.0 + along.1 * along.1;
    let share =
        if squared > 0.0 { ((from.0 * along.0 + from.1 * along.1) / squared).clamp(0.0, 1.0) } else { 0.0 };
    (from.0 - share * along.0).hypot(from.1 - share * along.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn area(points: &[(f64, f64)]) -> f64 {
        points.windows(2).map(|w| (w[1].0 - w[0].0) * (w[1].1 + w[0].1) / 2.0).sum()
    }

    fn check(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
        let thinned = thin(points.iter().copied());
        let difference = (area(points) - area(&thinned)).abs();
        assert!(difference < 1e-3, "area differs by {difference:e} with {} points", thinned.len());
        assert!(thinned.len() <= MOST_POINTS);
        assert_eq!(thinned.first(), points.first());
        assert_eq!(thinned.last(), points.last());
        thinned
    }

    /// A ROC and a precision-recall curve of `count` scores in order, anomalous where `anomalous` says so.
    fn curves(count: usize, mut anomalous: impl FnMut(usize) -> bool) -> [Vec<(f64, f64)>; 2] {
        let labels: Vec<bool> = (0..count).map(&mut anomalous).collect();
        let positives = labels.iter().filter(|l| **l).count().max(1) as f64;
        let negatives = (count as f64 - positives).max(1.0);
        let (mut hits, mut alarms) = (0.0, 0.0);
        let (mut roc, mut pr) = (vec![(0.0, 0.0)], vec![(0.0, 1.0)]);
        for label in labels {
            *(if label { &mut hits } else { &mut alarms }) += 1.0;
            roc.push((alarms / negatives, hits / positives));
            pr.push((hits / positives, hits / (hits + alarms)));
        }
        [roc, pr]
    }

    fn hashed(at: usize) -> f64 {
        let mixed = (at as u64 ^ 0x9e37_79b9).wrapping_mul(0xd134_2543_de82_ef95);
        ((mixed ^ (mixed >> 32)).wrapping_mul(0xd134_2543_de82_ef95) >> 11) as f64 / (1u64 << 53) as f64
    }

    #[test]
    fn a_million_points_become_a_few_hundred() {
        let count = 1_000_000;
        for steepness in [0.0, 2.0, 20.0, 200.0] {
            for curve in curves(count, |at| hashed(at) < 0.5 * (-steepness * at as f64 / count as f64).exp())
            {
                check(&curve);
            }
        }
    }

    #[test]
    fn staircases_of_every_width_keep_their_area() {
        for steps in [1_usize, 3, 40, 150, 250, 300, 400, 500, 700, 1000, 5000, 20_000] {
            let step = 1.0 / steps as f64;
            let stairs: Vec<_> = (0..=2 * steps)
                .map(|at: usize| ((at / 2) as f64 * step, at.div_ceil(2) as f64 * step))
                .collect();
            check(&stairs);
        }
    }

    #[test]
    fn corners_of_a_short_curve_stay() {
        let corner = [(0.0, 0.0), (0.0, 0.9), (0.5, 0.9), (0.5, 1.0), (1.0, 1.0)];
        assert_eq!(check(&corner), corner);
        let straight: Vec<_> = (0..=1000).map(|at| (at as f64 / 1000.0, at as f64 / 1000.0)).collect();
        assert_eq!(check(&straight), [(0.0, 0.0), (1.0, 1.0)]);
    }

    #[test]
    fn few_points_are_no_special_case() {
        assert_eq!(thin([].into_iter()), []);
        assert_eq!(thin([(0.5, 0.5)].into_iter()), [(0.5, 0.5)]);
        assert_eq!(thin([(0.5, 0.5), (0.5, 0.5)].into_iter()).first(), Some(&(0.5, 0.5)));
        let there_and_back = [(0.0, 0.0), (1.0, 1.0), (0.0, 0.0)];
        assert_eq!(thin(there_and_back.into_iter()), there_and_back);
    }

    proptest! {
        #[test]
        fn any_ranking_keeps_its_area(labels in prop::collection::vec(any::<bool>(), 2..3000)) {
            for curve in curves(labels.len(), |at| labels[at]) {
                check(&curve);
            }
        }
    }
}
