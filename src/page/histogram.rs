//! Counting scores into bins.

/// Scores in equal bins over 0..1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Histogram {
    /// Scores per bin; a score on the border of two belongs to the higher one, 1.0 to the last.
    pub(super) counts: [usize; Self::BINS],
    /// Scores outside 0..1, counted in the first and the last bin.
    pub(super) outside: usize,
    /// Scores that are not finite, counted in no bin.
    pub(super) not_numbers: usize,
}

impl Histogram {
    /// How many bins.
    pub(super) const BINS: usize = 30;

    /// Counts `scores`.
    pub(super) fn of(scores: &[f32]) -> Self {
        let mut histogram = Self { counts: [0; Self::BINS], outside: 0, not_numbers: 0 };
        for &score in scores {
            if !score.is_finite() {
                histogram.not_numbers += 1;
                continue;
            }
            if !(0.0..=1.0).contains(&score) {
                histogram.outside += 1;
            }
            let bin = (score.clamp(0.0, 1.0) * Self::BINS as f32) as usize;
            histogram.counts[bin.min(Self::BINS - 1)] += 1;
        }
        histogram
    }

    /// The fullest bin's count.
    pub(super) fn most(&self) -> usize {
        self.counts.iter().copied().max().unwrap_or(0)
    }

    /// How many scores are in bins.
    pub(super) fn total(&self) -> usize {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn borders_and_outsiders_have_a_bin() {
        let histogram = Histogram::of(&[0.0, 0.5, 1.0, -0.1, 1.5, f32::NAN, f32::INFINITY]);
        assert_eq!((histogram.counts[0], histogram.counts[15], histogram.counts[29]), (2, 1, 2));
        assert_eq!((histogram.total(), histogram.outside, histogram.not_numbers), (5, 2, 2));
    }

    proptest! {
        #[test]
        fn every_score_is_counted_once(scores in prop::collection::vec(any::<f32>(), 0..200)) {
            let histogram = Histogram::of(&scores);
            prop_assert_eq!(histogram.total() + histogram.not_numbers, scores.len());
            prop_assert!(histogram.most() <= histogram.total());
        }
    }
}
