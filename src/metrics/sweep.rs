//! One visit to all scores in descending order.

use serde::Serialize;

/// The numbers of positives, negatives and regions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Damaged pictures or pixels.
    pub positives: u64,
    /// Good pictures or pixels.
    pub negatives: u64,
    /// Connected defects, for PRO; 0 for pictures.
    pub regions: u64,
}

/// All pictures or pixels with the same score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Group {
    /// The score.
    pub value: f32,
    /// Damaged ones.
    pub positives: u64,
    /// Good ones.
    pub negatives: u64,
    /// Sum of 1 / area of the region over the damaged pixels.
    pub overlap: f64,
}

impl Group {
    /// Nothing with this score yet.
    pub(super) fn empty(value: f32) -> Self {
        Self { value, positives: 0, negatives: 0, overlap: 0.0 }
    }
}

/// A threshold and the shares at or above it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CurvePoint {
    /// The threshold.
    pub threshold: f32,
    /// Share of the good ones at or above the threshold.
    pub false_positive_rate: f64,
    /// Share of the damaged ones at or above the threshold.
    pub recall: f64,
    /// Share of damaged ones among all at or above the threshold.
    pub precision: f64,
    /// Mean over the regions of their share at or above the threshold.
    pub overlap: f64,
}

/// Figures of a ranking.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranking {
    /// Area under the ROC curve; ties count half.
    pub auroc: f64,
    /// Average precision: the sum over distinct thresholds of the step in recall times the precision.
    pub average_precision: f64,
    /// The largest F1 of any threshold.
    pub f1_max: f64,
    /// The threshold of the largest F1: a score at or above it counts as damaged.
    pub f1_threshold: f32,
    /// The curves, with fewer points where they are straight.
    #[serde(skip)]
    pub curve: Vec<CurvePoint>,
}

/// Number of thresholds of the sampled PRO in CLIP-AD's code, `cal_pro_score`.
const STEPS: usize = 200;

/// Points of a curve closer than this in every coordinate are merged.
const RESOLUTION: f64 = 5e-4;

/// Visits groups in strictly descending order of value and adds up the figures.
#[derive(Debug, Clone)]
pub struct Sweep {
    totals: Totals,
    limit: f64,
    found: u64,
    alarms: u64,
    overlap: f64,
    /// Twice the area under the curve of `found` over `alarms`.
    area: u128,
    precision_steps: f64,
    f1_max: f64,
    f1_threshold: f32,
    pro_area: f64,
    sampled: Option<Sampled>,
    curve: Vec<CurvePoint>,
    last: Option<CurvePoint>,
}

impl Sweep {
    /// Starts above all scores. PRO is integrated up to the false-positive rate `limit`.
    pub fn new(totals: Totals, limit: f64) -> Self {
        Self {
            totals,
            limit,
            found: 0,
            alarms: 0,
            overlap: 0.0,
            area: 0,
            precision_steps: 0.0,
            f1_max: 0.0,
            f1_threshold: f32::INFINITY,
            pro_area: 0.0,
            sampled: None,
            curve: Vec::new(),
            last: None,
        }
    }

    /// Also computes the sampled PRO of CLIP-AD's code, for scores from `low` to `high`.
    pub fn with_sampled_pro(self, low: f32, high: f32) -> Self {
        let (low, high) = (f64::from(low), f64::from(high));
        Self { sampled: Some(Sampled { low, step: (high - low) / STEPS as f64, points: Vec::new() }), ..self }
    }

    /// Adds the next group.
    pub fn visit(&mut self, group: Group) {
        self.sample_above(f64::from(group.value));
        let (rate_before, overlap_before) = (self.rate(), self.mean_overlap());
        let found_before = self.found;
        self.found += group.positives;
        self.alarms += group.negatives;
        self.overlap += group.overlap;

        self.area += u128::from(group.negatives) * u128::from(found_before + self.found);
        let precision = self.found as f64 / (self.found + self.alarms).max(1) as f64;
        self.precision_steps += group.positives as f64 * precision;
        let f1 = 2.0 * self.found as f64 / (self.found + self.alarms + self.totals.positives).max(1) as f64;
        if f1 > self.f1_max {
            (self.f1_max, self.f1_threshold) = (f1, group.value);
        }
        self.pro_area +=
            clipped_area((rate_before, overlap_before), (self.rate(), self.mean_overlap()), self.limit);
        self.remember(group.value, precision);
    }

    fn rate(&self) -> f64 {
        self.alarms as f64 / self.totals.negatives.max(1) as f64
    }

    fn mean_overlap(&self) -> f64 {
        self.overlap / self.totals.regions.max(1) as f64
    }

    fn sample_above(&mut self, value: f64) {
        let now = (self.rate(), self.mean_overlap());
        if let Some(sampled) = &mut self.sampled {
            sampled.pass(value, now);
        }
    }

    fn remember(&mut self, threshold: f32, precision: f64) {
        let point = CurvePoint {
            threshold,
            false_positive_rate: self.rate(),
            recall: self.found as f64 / self.totals.positives.max(1) as f64,
            precision,
            overlap: self.mean_overlap(),
        };
        let near = |kept: &CurvePoint| {
            (kept.false_positive_rate - point.false_positive_rate).abs() < RESOLUTION
                && (kept.recall - point.recall).abs() < RESOLUTION
                && (kept.precision - point.precision).abs() < RESOLUTION
                && (kept.overlap - point.overlap).abs() < RESOLUTION
        };
        if !self.curve.last().is_some_and(near) {
            self.curve.push(point);
        }
        self.last = Some(point);
    }

    /// Area under the curve of the mean overlap over the false-positive rate, from 0 to the limit, divided by the
    /// limit; linear between thresholds. `None` without regions or without good pixels.
    pub fn aupro(&self) -> Option<f64> {
        (self.totals.regions > 0 && self.totals.negatives > 0).then(|| self.pro_area / self.limit)
    }

    /// PRO as in CLIP-AD's code: 200 thresholds, false-positive rates below the limit stretched to 0..1.
    /// `None` without regions, or with fewer than two remaining thresholds.
    pub fn sampled_pro(&mut self) -> Option<f64> {
        self.sample_above(f64::NEG_INFINITY);
        let defined = self.totals.regions > 0 && self.totals.negatives > 0;
        self.sampled.as_ref().filter(|_| defined)?.area(self.limit)
    }

    /// The figures, valid after the last group.
    pub fn ranking(mut self) -> Ranking {
        let (positives, negatives) = (self.totals.positives.max(1), self.totals.negatives.max(1));
        if self.curve.last() != self.last.as_ref() {
            self.curve.extend(self.last);
        }
        Ranking {
            auroc: self.area as f64 / 2.0 / (positives as f64 * negatives as f64),
            average_precision: self.precision_steps / positives as f64,
            f1_max: self.f1_max,
            f1_threshold: self.f1_threshold,
            curve: self.curve,
        }
    }
}

/// The area under the line from `a` to `b` left of `limit`.
fn clipped_area(a: (f64, f64), b: (f64, f64), limit: f64) -> f64 {
    if a.0 >= limit || b.0 <= a.0 {
        return 0.0;
    }
    let end = b.0.min(limit);
    let height = a.1 + (b.1 - a.1) * (end - a.0) / (b.0 - a.0);
    (end - a.0) * (a.1 + height) / 2.0
}

/// False-positive rate and overlap at 200 thresholds, highest first; pixels above a threshold are found.
#[derive(Debug, Clone)]
struct Sampled {
    low: f64,
    step: f64,
    points: Vec<(f64, f64)>,
}

impl Sampled {
    /// Records `state` for every threshold at or above the next value.
    fn pass(&mut self, next: f64, state: (f64, f64)) {
        while self.points.len() < STEPS {
            let threshold = self.low + (STEPS - 1 - self.points.len()) as f64 * self.step;
            if next > threshold {
                return;
            }
            self.points.push(state);
        }
    }

    fn area(&self, limit: f64) -> Option<f64> {
        let kept: Vec<_> = self.points.iter().filter(|p| p.0 < limit).collect();
        let (first, last) = (kept.first()?.0, kept.last()?.0);
        let span = last - first;
        (span > 0.0)
            .then(|| kept.windows(2).map(|w| (w[1].0 - w[0].0) / span * (w[0].1 + w[1].1) / 2.0).sum())
    }
}
