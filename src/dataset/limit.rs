//! A representative part of a data set.

use std::collections::BTreeMap;

use super::{Label, Sample};

/// Keeps at most `per_class` samples of each class; see [`super::Dataset::limit`].
pub(super) fn limit(samples: &mut Vec<Sample>, per_class: usize) {
    let mut classes: BTreeMap<&str, [Vec<usize>; 2]> = BTreeMap::new();
    for (i, sample) in samples.iter().enumerate() {
        let labels = classes.entry(&sample.class).or_default();
        labels[usize::from(sample.label == Label::Anomalous)].push(i);
    }
    let mut keep = vec![false; samples.len()];
    for [normal, anomalous] in classes.into_values() {
        // An odd sample is anomalous; missing samples of one label are replaced by the other.
        let share = (per_class / 2).max(per_class.saturating_sub(anomalous.len())).min(normal.len());
        for (indices, count) in [(normal, share), (anomalous, per_class - share)] {
            spread(samples, &indices, count).into_iter().for_each(|i| keep[i] = true);
        }
    }
    let mut keep = keep.into_iter();
    samples.retain(|_| keep.next().unwrap_or(false));
}

/// At most `count` of `indices`: the kinds take turns, and within a kind the picks are evenly spaced.
fn spread(samples: &[Sample], indices: &[usize], count: usize) -> Vec<usize> {
    let mut kinds: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for &i in indices {
        kinds.entry(&samples[i].kind).or_default().push(i);
    }
    let mut counts = vec![0; kinds.len()];
    let mut left = count.min(indices.len());
    while left > 0 {
        for (taken, of_kind) in counts.iter_mut().zip(kinds.values()) {
            if left > 0 && *taken < of_kind.len() {
                *taken += 1;
                left -= 1;
            }
        }
    }
    let picks = |(of_kind, n): (&Vec<usize>, usize)| -> Vec<usize> {
        (0..n).map(|k| of_kind[k * of_kind.len() / n]).collect()
    };
    kinds.values().zip(counts).flat_map(picks).collect()
}
