//! The mean of the sentences, weighted by their density.

use ndarray::{Array1, Array2};

use super::squared_distance;

/// Mean of rows `[N, D]`, weighted by their density. Densities are relative to the largest, so that no
/// bandwidth overflows or underflows them; the common factor cancels out.
pub(super) fn vector(rows: &Array2<f64>, bandwidth: f64) -> Array1<f64> {
    let densities = log_density(rows, bandwidth);
    let largest = densities.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights = densities.mapv(|d| (d - largest).exp());
    weights.dot(rows) / weights.sum()
}

/// The logarithm of a Gaussian kernel density estimate at each row of `[N, D]`, the row itself included (as
/// scikit-learn's `KernelDensity.score_samples` on its own data).
pub fn log_density(rows: &Array2<f64>, bandwidth: f64) -> Array1<f64> {
    let (count, width) = rows.dim();
    let normaliser =
        (count as f64).ln() + width as f64 * (bandwidth.ln() + 0.5 * (2.0 * std::f64::consts::PI).ln());
    let exponents = |i: usize| {
        rows.rows()
            .into_iter()
            .map(move |r| -squared_distance(rows.row(i), r) / (2.0 * bandwidth * bandwidth))
    };
    // The row itself contributes exp(0), the largest term, so the sum cannot vanish.
    (0..count).map(|i| exponents(i).map(f64::exp).sum::<f64>().ln() - normaliser).collect()
}
