//! Scores of pictures, adjusted to those of similar pictures (RsCIN).

/// Scores stretched to 0..1 and averaged with those of the pictures of the most similar class features. `features` are
/// `[N, D]`, of unit length. For every number of `neighbours` each picture has the mean of its neighbours' scores, itself
/// among them, weighted by similarity; the result is the mean over these numbers. Numbers above N count as N.
pub fn rescored(scores: &[f64], features: &[Vec<f32>], neighbours: &[usize]) -> Vec<f64> {
    let low = scores.iter().copied().fold(f64::INFINITY, f64::min);
    let high = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let stretched: Vec<f64> = scores.iter().map(|s| (s - low) / (high - low)).collect();
    let similarity = |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum() };
    features
        .iter()
        .map(|own| {
            let mut row: Vec<(f64, f64)> = features
                .iter()
                .zip(&stretched)
                .map(|(other, &score)| (similarity(own, other), score))
                .collect();
            row.sort_by(|a, b| b.0.total_cmp(&a.0));
            let with = |count: usize| {
                let kept = &row[..count.min(row.len())];
                let sum: f64 = kept.iter().map(|(weight, score)| weight * score).sum();
                sum / kept.iter().map(|(weight, _)| weight).sum::<f64>()
            };
            neighbours.iter().map(|&count| with(count)).sum::<f64>() / neighbours.len() as f64
        })
        .collect()
}
