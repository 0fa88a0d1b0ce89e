//! The direction the sentences have most in common.

use nalgebra::{DMatrix, SymmetricEigen};
use ndarray::{Array1, Array2, Axis};

use super::mean;

/// The first principal component of rows `[N, D]`, turned to the side of their mean.
///
/// The reference takes the coordinates for samples and the sentences for variables, so every sentence is centred
/// over its own coordinates. The component is `Xc u` with `u` the top eigenvector of the `N x N` Gram matrix, or
/// the top eigenvector of the `D x D` one itself, whichever is smaller.
pub(super) fn vector(rows: &Array2<f64>) -> Array1<f64> {
    let centred = rows - &rows.sum_axis(Axis(1)).insert_axis(Axis(1)) / rows.ncols() as f64;
    let direction = if rows.nrows() <= rows.ncols() {
        centred.t().dot(&top_eigenvector(&centred.dot(&centred.t())))
    } else {
        top_eigenvector(&centred.t().dot(&centred))
    };
    // Rows that were constant leave no variance and an arbitrary eigenvector.
    if centred.iter().all(|v| v.abs() < 1e-12) {
        return Array1::zeros(rows.ncols());
    }
    if mean::vector(rows).dot(&direction) < 0.0 { -direction } else { direction }
}

fn top_eigenvector(symmetric: &Array2<f64>) -> Array1<f64> {
    let n = symmetric.nrows();
    let eigen = SymmetricEigen::new(DMatrix::from_fn(n, n, |r, c| symmetric[(r, c)]));
    let top = eigen.eigenvalues.iamax();
    Array1::from_iter(eigen.eigenvectors.column(top).iter().copied())
}
