//! Modes of the density.

use std::cmp::Ordering;

use ndarray::{Array1, Array2, Axis};

use super::squared_distance;

/// The cluster of each row of `[N, D]`: mean shift with a flat kernel and a seed at every row, as in
/// scikit-learn.
///
/// A seed moves to the mean of the rows within `bandwidth` until it moves less than a thousandth of the
/// bandwidth. Modes are ordered by the number of rows within `bandwidth`; a mode within `bandwidth` of a
/// better one is dropped; each row belongs to the nearest remaining mode.
pub(super) fn labels(rows: &Array2<f64>, bandwidth: f64, max_iterations: usize) -> Vec<Option<usize>> {
    let mut modes: Vec<(usize, Array1<f64>)> = Vec::new();
    for seed in rows.rows() {
        if let Some((covered, mode)) = climb(rows, seed.to_owned(), bandwidth, max_iterations)
            && !modes.iter().any(|(_, known)| *known == mode)
        {
            modes.push((covered, mode));
        }
    }
    modes.sort_by(|(n, a), (m, b)| m.cmp(n).then_with(|| compare(b, a)));
    let mut kept: Vec<Array1<f64>> = Vec::new();
    for (_, mode) in modes {
        if kept.iter().all(|k| squared_distance(k.view(), mode.view()).sqrt() > bandwidth) {
            kept.push(mode);
        }
    }
    rows.rows()
        .into_iter()
        .map(|row| {
            let distance = |m: &Array1<f64>| squared_distance(m.view(), row);
            let nearest =
                kept.iter().enumerate().min_by(|(_, a), (_, b)| distance(a).total_cmp(&distance(b)));
            nearest.map(|(label, _)| label)
        })
        .collect()
}

/// The mode reached from a seed, and the number of rows it covers; `None` if no row is near.
fn climb(
    rows: &Array2<f64>,
    mut mode: Array1<f64>,
    bandwidth: f64,
    max_iterations: usize,
) -> Option<(usize, Array1<f64>)> {
    let mut step = 0;
    loop {
        let covered: Vec<usize> = (0..rows.nrows())
            .filter(|&i| squared_distance(rows.row(i), mode.view()).sqrt() <= bandwidth)
            .collect();
        let mean = rows.select(Axis(0), &covered).mean_axis(Axis(0))?;
        let moved = squared_distance(mean.view(), mode.view()).sqrt();
        mode = mean;
        if moved < 1e-3 * bandwidth || step == max_iterations {
            return Some((covered.len(), mode));
        }
        step += 1;
    }
}

/// Lexicographic order.
fn compare(a: &Array1<f64>, b: &Array1<f64>) -> Ordering {
    a.iter().zip(b).map(|(x, y)| x.total_cmp(y)).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
}
