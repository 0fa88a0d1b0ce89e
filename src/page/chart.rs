//! The page's charts as inline SVG: a curve in the unit square, and a histogram of scores.
//!
//! Colours come from the style sheet by class, so a chart follows the reader's light or dark scheme.

use maud::{Markup, html};

use super::histogram::Histogram;

// The size of the drawing in its own units; the page scales it to its column.
const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 290.0;
const LEFT: f64 = 54.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 46.0;
const PLOT_WIDTH: f64 = WIDTH - LEFT - RIGHT;
const PLOT_HEIGHT: f64 = HEIGHT - TOP - BOTTOM;

/// One direction of a chart, from 0 to `end`.
struct Axis {
    label: &'static str,
    end: f64,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// A rate from 0 to `end`, with `steps` equal steps.
    fn rate(label: &'static str, end: f64, steps: u32) -> Self {
        let ticks = (0..=steps).map(|at| end * f64::from(at) / f64::from(steps));
        Self { label, end, ticks: ticks.map(|value| (value, format!("{value:.1}"))).collect() }
    }

    /// Values from 0 to at least `most`, in at most six round steps.
    fn value(label: &'static str, most: f64) -> Self {
        // Rounded in thousandths of the decade of the largest value.
        let most = if most > 0.0 { most } else { 1.0 };
        let decade = (most.log10().floor() as i32).clamp(-30, 12) - 2;
        let unit = 10f64.powi(decade);
        Self::steps(label, (most / unit).ceil() as usize, unit, (-1 - decade).max(0) as usize)
    }

    /// Counts from 0 to at least `most`, in at most six round steps.
    fn count(label: &'static str, most: usize) -> Self {
        Self::steps(label, most, 1.0, 0)
    }

    /// From 0 to at least `most` units, with `digits` decimals.
    fn steps(label: &'static str, most: usize, unit: f64, digits: usize) -> Self {
        let step = round_step(most.max(1));
        let steps = most.max(1).div_ceil(step);
        let ticks = (0..=steps).map(|at| (at * step) as f64 * unit);
        let ticks = ticks.map(|value| (value, format!("{value:.digits$}"))).collect();
        Self { label, end: (steps * step) as f64 * unit, ticks }
    }
}

/// Values over steps, both from 0. Points that are not finite are left out.
pub(super) fn series(points: &[(f64, f64)], described: &str) -> Markup {
    let most = |f: fn(&(f64, f64)) -> f64| finite(points).map(|p| f(&p)).fold(0.0, f64::max);
    let (x, y) = (Axis::count("Step", most(|p| p.0) as usize), Axis::value("Loss", most(|p| p.1)));
    frame(&x, &y, described, &line(points, &x, &y))
}

fn finite(points: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> {
    points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite())
}

/// Points nearer than this to the last drawn point, as a share of both axes, are left out: less than a pixel.
const NEAR: f64 = 2e-3;

/// The line through the points: points that are not finite are left out, points outside the axes moved to
/// their edge.
fn line(points: &[(f64, f64)], x: &Axis, y: &Axis) -> Markup {
    let mut drawn: Vec<(f64, f64)> = Vec::new();
    let mut left_out = None;
    for (at, value) in finite(points) {
        let point = ((at / x.end).clamp(0.0, 1.0), (value / y.end).clamp(0.0, 1.0));
        let near = |kept: &&(f64, f64)| (kept.0 - point.0).abs() < NEAR && (kept.1 - point.1).abs() < NEAR;
        left_out = drawn.last().filter(near).map(|_| point);
        if left_out.is_none() {
            drawn.push(point);
        }
    }
    drawn.extend(left_out);
    html! {
        @match drawn.as_slice() {
            [] => (no_data()),
            [(x, y)] => circle class="dot" cx=(across(*x)) cy=(up(*y)) r="3" {},
            points => path class="curve" d=(path(points)) {},
        }
    }
}

/// The smallest of 1, 2, 5, 10, 20, 50 ... that reaches `most` in six steps.
fn round_step(most: usize) -> usize {
    let mut decade = 1_usize;
    loop {
        for factor in [1, 2, 5] {
            let step = decade.saturating_mul(factor);
            if step.saturating_mul(6) >= most {
                return step;
            }
        }
        decade = decade.saturating_mul(10);
    }
}

/// The kind of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CurveKind {
    /// True positive rate over false positive rate.
    Roc,
    /// Precision over recall.
    PrecisionRecall,
    /// Mean overlap of the regions over the false positive rate.
    RegionOverlap,
}

impl CurveKind {
    /// Its name in the caption.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Roc => "ROC curve",
            Self::PrecisionRecall => "Precision-recall curve",
            Self::RegionOverlap => "PRO curve",
        }
    }

    fn axes(self, furthest: f64) -> [Axis; 2] {
        match self {
            Self::Roc => [rate("False positive rate"), rate("True positive rate")],
            Self::PrecisionRecall => [rate("Recall"), rate("Precision")],
            // The curve is integrated up to 0.3 and usually ends there; a longer curve needs the whole axis.
            Self::RegionOverlap if furthest <= 0.31 => {
                [Axis::rate("False positive rate", 0.3, 3), rate("Per-region overlap")]
            }
            Self::RegionOverlap => [rate("False positive rate"), rate("Per-region overlap")],
        }
    }
}

fn rate(label: &'static str) -> Axis {
    Axis::rate(label, 1.0, 5)
}

/// A curve over its axes.
pub(super) fn curve(kind: CurveKind, points: &[(f64, f64)], described: &str) -> Markup {
    let [x, y] = kind.axes(finite(points).map(|(x, _)| x).fold(0.0, f64::max));
    let inside = html! {
        @if kind == CurveKind::Roc {
            path class="chance" d=(path(&[(0.0, 0.0), (1.0, 1.0)])) {}
        }
        (line(points, &x, &y))
    };
    frame(&x, &y, described, &inside)
}

/// Two counts side by side in each bin, with their numbers on hover, and the threshold as a line.
pub(super) fn histogram(
    good: &Histogram,
    anomalous: &Histogram,
    threshold: Option<f64>,
    described: &str,
) -> Markup {
    let x = Axis::rate("Score", 1.0, 5);
    let y = Axis::count("Pictures", good.most().max(anomalous.most()));
    let end = y.end;
    let bin = 1.0 / Histogram::BINS as f64;
    let inside = html! {
        @for (at, (&good, &anomalous)) in good.counts.iter().zip(&anomalous.counts).enumerate() {
            @if good + anomalous > 0 {
                @let from = at as f64 * bin;
                g {
                    title { (format!("{:.2} to {:.2}: {good} good, {anomalous} anomalous", from, from + bin)) }
                    // The whole column reacts to the pointer, also above a bar of one pixel.
                    rect class="column" x=(across(from)) y=(units(TOP)) width=(units(bin * PLOT_WIDTH))
                        height=(units(PLOT_HEIGHT)) {}
                    (bar("good", from + 0.06 * bin, 0.42 * bin, good, end))
                    (bar("anomalous", from + 0.52 * bin, 0.42 * bin, anomalous, end))
                }
            }
        }
        @if good.total() + anomalous.total() == 0 { (no_data()) }
        @if let Some(threshold) = threshold {
            path class="threshold" d=(path(&[(threshold, 0.0), (threshold, 1.0)])) {}
        }
    };
    frame(&x, &y, described, &inside)
}

fn bar(class: &str, from: f64, width: f64, count: usize, end: f64) -> Markup {
    // One picture among thousands remains visible.
    let height = (count as f64 / end * PLOT_HEIGHT).max(1.0);
    html! {
        @if count > 0 {
            rect class=(class) x=(across(from)) y=(units(TOP + PLOT_HEIGHT - height))
                width=(units(width * PLOT_WIDTH)) height=(units(height)) {}
        }
    }
}

/// A colour sample for a legend.
pub(super) fn key(class: &str) -> Markup {
    html! {
        svg class="key" viewBox="0 0 12 12" width="12" height="12" aria-hidden="true" {
            @if class == "threshold" {
                path class="threshold" d="M6 0V12" {}
            } @else {
                rect class=(class) x="1" y="1" width="10" height="10" {}
            }
        }
    }
}

fn frame(x: &Axis, y: &Axis, described: &str, inside: &Markup) -> Markup {
    let bottom = TOP + PLOT_HEIGHT;
    html! {
        svg class="chart" viewBox={ "0 0 " (units(WIDTH)) " " (units(HEIGHT)) } role="img"
            aria-label=(super::text::Text(described)) {
            g class="grid" {
                @for (value, _) in &x.ticks {
                    path d={ "M" (across(value / x.end)) " " (units(bottom)) "V" (units(TOP)) } {}
                }
                @for (value, _) in &y.ticks {
                    path d={ "M" (units(LEFT)) " " (up(value / y.end)) "H" (units(WIDTH - RIGHT)) } {}
                }
            }
            g class="ticks" {
                @for (value, label) in &x.ticks {
                    text x=(across(value / x.end)) y=(units(bottom + 16.0)) text-anchor="middle" { (label) }
                }
                @for (value, label) in &y.ticks {
                    text x=(units(LEFT - 7.0)) y=(up(value / y.end)) dy="0.35em" text-anchor="end" { (label) }
                }
                text x=(across(0.5)) y=(units(HEIGHT - 8.0)) text-anchor="middle" { (x.label) }
                text transform={ "translate(13 " (up(0.5)) ") rotate(-90)" } text-anchor="middle" { (y.label) }
            }
            (inside)
            path class="axes" d={ "M" (units(LEFT)) " " (units(TOP)) "V" (units(bottom)) "H" (units(WIDTH - RIGHT)) } {}
        }
    }
}

fn no_data() -> Markup {
    html! { text class="none" x=(across(0.5)) y=(up(0.5)) text-anchor="middle" { "no data" } }
}

fn path(points: &[(f64, f64)]) -> String {
    let mut d = String::with_capacity(points.len() * 14);
    for (at, (x, y)) in points.iter().enumerate() {
        d.push_str(if at == 0 { "M" } else { "L" });
        d.push_str(&across(*x));
        d.push(' ');
        d.push_str(&up(*y));
    }
    d
}

/// A share of the horizontal axis in drawing units.
fn across(share: f64) -> String {
    units(LEFT + share * PLOT_WIDTH)
}

/// A share of the vertical axis in drawing units, which count downwards.
fn up(share: f64) -> String {
    units(TOP + (1.0 - share) * PLOT_HEIGHT)
}

/// At most two decimals, without trailing zeros.
fn units(value: f64) -> String {
    let written = format!("{value:.2}");
    written.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_axes_end_at_a_round_number_above_every_count() {
        for (most, end, ticks) in
            [(0, 1.0, 2), (1, 1.0, 2), (6, 6.0, 7), (7, 8.0, 5), (61, 80.0, 5), (1725, 2000.0, 5)]
        {
            let axis = Axis::count("Pictures", most);
            assert_eq!((axis.end, axis.ticks.len()), (end, ticks), "{most}");
        }
        assert!(round_step(usize::MAX) > 0);
    }

    #[test]
    fn values_that_are_not_numbers_never_reach_the_drawing() {
        let wild = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308, -1e308, 0.2, 0.9];
        let points: Vec<_> = wild.iter().flat_map(|&x| wild.map(|y| (x, y))).collect();
        for kind in [CurveKind::Roc, CurveKind::PrecisionRecall, CurveKind::RegionOverlap] {
            let drawn = curve(kind, &points, "").into_string();
            assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
            assert!(drawn.contains("class=\"curve\""));
            let nothing = curve(kind, &[(f64::NAN, 0.5)], "").into_string();
            assert!(nothing.contains("no data") && !nothing.contains("class=\"curve\""));
        }
    }

    #[test]
    fn a_curve_of_any_length_is_drawn_with_few_points_and_both_ends() {
        let points: Vec<_> = (0..=1_000_000).map(|i| f64::from(i) / 1e6).map(|x| (x, x.sqrt())).collect();
        let drawn = curve(CurveKind::Roc, &points, "").into_string();
        let path = drawn.split("class=\"curve\" d=\"").nth(1).unwrap().split('"').next().unwrap();
        assert!(path.starts_with("M54 244L") && path.ends_with("L386 10"), "{path}");
        assert!((400..1000).contains(&path.matches('L').count()), "{}", path.matches('L').count());
        let corner = [(0.0, 0.0), (0.0, 0.9), (0.5, 0.9), (0.5, 1.0), (1.0, 1.0)];
        let drawn = curve(CurveKind::Roc, &corner, "").into_string();
        assert!(drawn.contains("M54 244L54 33.4L220 33.4L220 10L386 10"), "{drawn}");
    }

    #[test]
    fn a_region_overlap_curve_fills_its_axis() {
        let drawn = |end: f64| curve(CurveKind::RegionOverlap, &[(0.0, 0.0), (end, 1.0)], "").into_string();
        // 386 is the right edge of the plot; only the short axis has a tick at 0.3.
        for end in [0.3, 0.305] {
            let short = drawn(end);
            assert!(short.contains("L386 10") && short.contains(">0.3<"), "{short}");
        }
        let long = drawn(1.0);
        assert!(long.contains("L386 10") && !long.contains(">0.3<"), "{long}");
    }
}
