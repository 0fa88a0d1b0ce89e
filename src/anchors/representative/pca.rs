//! The direction the sentences have most in common.

use ndarray::{Array1, Array2, Axis};

use super::mean;

/// The first principal component of rows `[N, D]`, turned to the side of their mean.
///
/// The reference takes the coordinates for samples and the sentences for variables, so every sentence is centred
/// over its own coordinates. The component is `Xc u` with `u` the top eigenvector of the `N x N` Gram matrix, or
/// the top eigenvector of the `D x D` one itself, whichever is smaller.
pub(super) fn vector(rows: &Array2<f64>) -> Array1<f64> {
    let centred = rows - &rows.sum_axis(Axis(1)).insert_axis(Axis(1)) / rows.ncols() as f64;
    // Rows that were constant leave no variance and no direction.
    if centred.iter().all(|v| v.abs() < 1e-12) {
        return Array1::zeros(rows.ncols());
    }
    let direction = if rows.nrows() <= rows.ncols() {
        centred.t().dot(&top_eigenvector(centred.dot(&centred.t())))
    } else {
        top_eigenvector(centred.t().dot(&centred))
    };
    if mean::vector(rows).dot(&direction) < 0.0 { -direction } else { direction }
}

/// Squarings, at most: they tell eigenvalues apart that differ by a part in 10^12.
const MOST_SQUARINGS: usize = 40;

/// The unit eigenvector of the largest eigenvalue of a positive semidefinite matrix that is not zero.
///
/// A power of the matrix nears the projection onto it. With a trace of 1 the trace of the square is
/// 1 - 2 r, where r is how far the second eigenvalue has come down: below 1e-9 the square itself is exact.
fn top_eigenvector(mut power: Array2<f64>) -> Array1<f64> {
    for _ in 0..MOST_SQUARINGS {
        power /= power.diag().sum();
        power = power.dot(&power);
        if power.diag().sum() > 1.0 - 1e-9 {
            break;
        }
    }
    let largest =
        power.diag().iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b)).map_or(0, |(i, _)| i);
    let column = power.column(largest);
    &column / column.dot(&column).sqrt()
}
