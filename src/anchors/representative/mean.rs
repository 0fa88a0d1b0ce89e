//! The mean of all sentences, the reference's default.

use ndarray::{Array1, Array2, Axis};

/// Mean of rows `[N, D]`.
pub(super) fn vector(rows: &Array2<f64>) -> Array1<f64> {
    rows.sum_axis(Axis(0)) / rows.nrows() as f64
}
