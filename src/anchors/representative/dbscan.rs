//! DBSCAN clusters.

use ndarray::Array2;

use super::squared_distance;

/// The cluster of each row of `[N, D]`, `None` for noise. Clusters are numbered by their first core point; a
/// point counts as its own neighbour; a border point belongs to the first cluster that reaches it (as in
/// scikit-learn).
pub(super) fn labels(rows: &Array2<f64>, eps: f64, min_samples: usize) -> Vec<Option<usize>> {
    let count = rows.nrows();
    let neighbours: Vec<Vec<usize>> = (0..count)
        .map(|i| (0..count).filter(|&j| squared_distance(rows.row(i), rows.row(j)).sqrt() <= eps).collect())
        .collect();
    let mut labels = vec![None; count];
    let mut clusters = 0;
    for first in 0..count {
        if labels[first].is_some() || neighbours[first].len() < min_samples {
            continue;
        }
        let mut reached = vec![first];
        while let Some(point) = reached.pop() {
            if labels[point].is_some() {
                continue;
            }
            labels[point] = Some(clusters);
            if neighbours[point].len() >= min_samples {
                reached.extend(neighbours[point].iter().copied().filter(|&n| labels[n].is_none()));
            }
        }
        clusters += 1;
    }
    labels
}
