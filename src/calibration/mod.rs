//! From scores of labelled pictures to a threshold, with its expected false-alarm rate and the uncertainty of
//! that rate.

mod error;
mod file;
mod levels;

pub use error::CalibrationError;
pub use file::ThresholdFile;
pub use levels::{GLOW_RATE, MapLevels, map_levels};

use serde::{Deserialize, Serialize};

use crate::metrics::image_metrics;

/// The coverage of the confidence intervals of false-alarm rates.
pub const CONFIDENCE: f64 = 0.95;

/// How a threshold is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rule {
    /// From good pictures only: the lowest threshold with at most this expected false-alarm rate, 0..1.
    FalseAlarms(f64),
    /// From labelled pictures: the threshold with the largest F1.
    BestF1,
}

/// The threshold of one class, and its statistics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassThreshold {
    /// A picture with a score at or above it is anomalous.
    pub threshold: f32,
    /// The rule that chose it.
    pub rule: Rule,
    /// Number of good pictures used.
    pub good: usize,
    /// Number of damaged pictures used.
    pub anomalous: usize,
    /// Expected share of further good pictures with a score at or above the threshold.
    pub false_alarm_rate: f64,
    /// Confidence interval of this rate, with coverage [`CONFIDENCE`], from the number of good pictures
    /// alone.
    pub false_alarm_interval: [f64; 2],
    /// Share of the damaged pictures found, among the pictures used for the choice; new parts will give a
    /// lower rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detection_rate: Option<f64>,
    /// Levels of the maps; `None` in files of earlier versions, and without good pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<MapLevels>,
}

/// The lowest threshold with an expected false-alarm rate of at most `target`, from the scores of good
/// pictures.
///
/// With `n` scores and a threshold directly above the `k+1`-th largest, the rate among further pictures of
/// the same kind follows a beta distribution with parameters `k+1` and `n-k`, whatever the distribution of
/// scores (if there are no ties; with ties there are fewer alarms). Its mean, `(k+1)/(n+1)`, is the expected
/// rate. If `n` is too small for the target, the threshold is above all scores and the rate is the smallest
/// possible for `n`.
///
/// `None` without scores, or if a score is not finite.
pub fn from_good(scores: &[f32], target: f64) -> Option<ClassThreshold> {
    if scores.is_empty() || scores.iter().any(|s| !s.is_finite()) {
        return None;
    }
    let mut sorted = scores.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let n = sorted.len();
    let above = ((target * (n + 1) as f64 + 1e-9).floor() as usize).saturating_sub(1).min(n - 1);
    let (a, b) = (above + 1, n - above);
    Some(ClassThreshold {
        threshold: sorted[n - 1 - above].next_up(),
        rule: Rule::FalseAlarms(target),
        good: n,
        anomalous: 0,
        false_alarm_rate: a as f64 / (a + b) as f64,
        false_alarm_interval: [quantile(a, b, tail()), quantile(a, b, 1.0 - tail())],
        detection_rate: None,
        map: None,
    })
}

/// The threshold with the largest F1. The interval of the false-alarm rate is Clopper and Pearson's; it does
/// not take into account that the threshold was chosen on the same pictures.
///
/// `None` if a label is missing or a score is not finite.
pub fn from_labels(scores: &[f32], anomalous: &[bool]) -> Option<ClassThreshold> {
    let threshold = image_metrics(scores, anomalous)?.f1_threshold;
    let called = |wanted: bool| {
        let mine = scores.iter().zip(anomalous).filter(move |(_, a)| **a == wanted);
        mine.fold((0usize, 0usize), |(hit, all), (s, _)| (hit + usize::from(*s >= threshold), all + 1))
    };
    let ((alarms, good), (found, damaged)) = (called(false), called(true));
    let low = if alarms == 0 { 0.0 } else { quantile(alarms, good - alarms + 1, tail()) };
    let high = if alarms == good { 1.0 } else { quantile(alarms + 1, good - alarms, 1.0 - tail()) };
    Some(ClassThreshold {
        threshold,
        rule: Rule::BestF1,
        good,
        anomalous: damaged,
        false_alarm_rate: alarms as f64 / good as f64,
        false_alarm_interval: [low, high],
        detection_rate: Some(found as f64 / damaged as f64),
        map: None,
    })
}

fn tail() -> f64 {
    (1.0 - CONFIDENCE) / 2.0
}

/// The `p`-quantile of the beta distribution with parameters `a` and `b`, both at least 1.
///
/// For whole parameters its distribution function at `x` is the probability of `a` or more successes in `a +
/// b - 1` trials with success probability `x`; terms are computed from their logarithms.
fn quantile(a: usize, b: usize, p: f64) -> f64 {
    let trials = a + b - 1;
    let ways: f64 = (1..=a).map(|i| ((trials - a + i) as f64 / i as f64).ln()).sum();
    let ratios: Vec<f64> = (a..trials).map(|k| ((trials - k) as f64 / (k + 1) as f64).ln()).collect();
    let chance = |x: f64| {
        let (success, failure) = (x.ln(), (-x).ln_1p());
        let first = ways + a as f64 * success + (b - 1) as f64 * failure;
        let terms = ratios.iter().scan(first, |term, ratio| {
            *term += ratio + success - failure;
            Some(term.exp())
        });
        first.exp() + terms.sum::<f64>()
    };
    let (mut low, mut high) = (0.0, 1.0);
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return middle;
        }
        if chance(middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_quantiles() {
        // Three in a hundred: the rule of three for no alarm among 100 pictures, one-sided 97.5 %.
        let all_below = from_good(&vec![0.5; 100], 0.001).unwrap();
        assert!((all_below.false_alarm_rate - 1.0 / 101.0).abs() < 1e-12);
        assert!((all_below.false_alarm_interval[1] - (1.0 - 0.025f64.powf(0.01))).abs() < 1e-9);
        // Clopper and Pearson, 1 of 20: 0.13 % to 24.87 %.
        let scores: Vec<f32> =
            (0..20).map(|i| if i == 0 { 0.9 } else { 0.1 }).chain([0.8, 0.95, 0.99]).collect();
        let labels: Vec<bool> = (0..23).map(|i| i >= 20).collect();
        let found = from_labels(&scores, &labels).unwrap();
        assert_eq!((found.threshold, found.detection_rate), (0.8, Some(1.0)));
        assert!((found.false_alarm_rate - 0.05).abs() < 1e-12);
        assert!((found.false_alarm_interval[0] - 0.0012651).abs() < 1e-6, "{:?}", found.false_alarm_interval);
        assert!((found.false_alarm_interval[1] - 0.2487328).abs() < 1e-6);
    }

    #[test]
    fn nothing_to_go_by() {
        assert!(from_good(&[], 0.1).is_none() && from_good(&[f32::NAN], 0.1).is_none());
        assert!(from_labels(&[0.1, 0.2], &[false, false]).is_none());
    }

    proptest! {
        /// The definition: of n + 1 exchangeable scores each is equally likely to be the new one.
        #[test]
        fn the_expected_rate_holds(scores in proptest::collection::vec(0.0f32..1.0, 2..80), target in 0.0f64..0.9) {
            let alarms = (0..scores.len()).filter(|&i| {
                let mut others = scores.clone();
                let new = others.remove(i);
                new >= from_good(&others, target).unwrap().threshold
            }).count();
            let mut others = scores.clone();
            others.pop();
            let promised = from_good(&others, target).unwrap().false_alarm_rate;
            prop_assert!(alarms as f64 / scores.len() as f64 <= promised + 1e-9);
            prop_assert!(promised <= target.max(1.0 / scores.len() as f64) + 1e-9);
        }
    }
}
