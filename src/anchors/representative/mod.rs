//! Representative Vector Selection (CLIP-AD, section 3.1): one vector for all sentences of a polarity.

mod dbscan;
mod kde;
mod mean;
mod mean_shift;
mod pca;

use ndarray::{Array1, Array2, ArrayView2, Axis};

use super::AnchorError;

pub use kde::log_density as kde_log_density;

/// How many vectors are combined into one. Parameters and defaults are the reference's.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Representative {
    /// The mean.
    Mean,
    /// The mean of the vectors as they are, not normalised first: longer ones have more weight.
    RawMean,
    /// The first principal component, where each sentence is centred over its own coordinates.
    Pca,
    /// The mean, weighted by a Gaussian kernel density estimate.
    Kde {
        /// Width of the kernel.
        bandwidth: f64,
    },
    /// The mean of the largest DBSCAN cluster.
    Dbscan {
        /// Radius of a neighbourhood.
        eps: f64,
        /// Points in a neighbourhood, its centre included, needed for a core point.
        min_samples: usize,
    },
    /// The mean of the largest mean-shift cluster (flat kernel). The default bandwidth covers the whole unit
    /// sphere, so the result equals the mean.
    MeanShift {
        /// Radius of the kernel.
        bandwidth: f64,
        /// Steps after which a seed stops.
        max_iterations: usize,
    },
}

impl std::fmt::Display for Representative {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mean => write!(f, "mean"),
            Self::RawMean => write!(f, "mean, not normalised"),
            Self::Pca => write!(f, "pca"),
            Self::Kde { bandwidth } => write!(f, "kde, bandwidth {bandwidth}"),
            Self::Dbscan { eps, min_samples } => write!(f, "dbscan, eps {eps}, min-samples {min_samples}"),
            Self::MeanShift { bandwidth, max_iterations } => {
                write!(f, "mean-shift, bandwidth {bandwidth}, iterations {max_iterations}")
            }
        }
    }
}

impl Representative {
    /// Kernel density with the reference's bandwidth.
    pub fn kde() -> Self {
        Self::Kde { bandwidth: 0.3 }
    }

    /// DBSCAN with the reference's parameters for every data set except VisA (1.5 and 25 there).
    pub fn dbscan() -> Self {
        Self::Dbscan { eps: 0.5, min_samples: 15 }
    }

    /// Mean shift with the reference's parameters.
    pub fn mean_shift() -> Self {
        Self::MeanShift { bandwidth: 2.0, max_iterations: 300 }
    }

    /// The unit vector `[D]` that represents `embeddings` `[N, D]`, whose rows are normalised first except for
    /// [`Representative::RawMean`].
    ///
    /// Arithmetic is in f64.
    ///
    /// # Errors
    /// A parameter is out of range, the embeddings have no direction, or a clustering finds no cluster.
    pub fn vector(self, embeddings: ArrayView2<'_, f32>) -> Result<Array1<f32>, AnchorError> {
        self.check()?;
        let rows = unit_rows(embeddings)?;
        let vector = match self {
            Self::Mean => mean::vector(&rows),
            Self::RawMean => mean::vector(&embeddings.mapv(f64::from)),
            Self::Pca => pca::vector(&rows),
            Self::Kde { bandwidth } => kde::vector(&rows, bandwidth),
            Self::Dbscan { eps, min_samples } => {
                let labels = dbscan::labels(&rows, eps, min_samples);
                let none = AnchorError::NoCluster { eps, min_samples, count: rows.nrows() };
                largest_cluster(&rows, &labels).ok_or(none)?
            }
            Self::MeanShift { bandwidth, max_iterations } => {
                let labels = mean_shift::labels(&rows, bandwidth, max_iterations);
                largest_cluster(&rows, &labels).unwrap_or_else(|| mean::vector(&rows))
            }
        };
        let norm = vector.dot(&vector).sqrt();
        // The sum of opposite unit vectors is only rounding error.
        if !norm.is_finite() || norm < 1e-9 {
            return Err(AnchorError::Degenerate("they cancel out"));
        }
        Ok(vector.mapv(|v| (v / norm) as f32))
    }

    fn check(self) -> Result<(), AnchorError> {
        let positive = |what, x: f64| {
            if x > 0.0 && x.is_finite() {
                Ok(())
            } else {
                Err(AnchorError::Parameter { what, expected: "a positive number", found: x.to_string() })
            }
        };
        let some = |what, n: usize| match n {
            0 => Err(AnchorError::Parameter { what, expected: "at least 1", found: "0".to_owned() }),
            _ => Ok(()),
        };
        match self {
            Self::Mean | Self::RawMean | Self::Pca => Ok(()),
            Self::Kde { bandwidth } => positive("the bandwidth", bandwidth),
            Self::Dbscan { eps, min_samples } => positive("eps", eps).and(some("min_samples", min_samples)),
            Self::MeanShift { bandwidth, max_iterations } => {
                positive("the bandwidth", bandwidth).and(some("the number of steps", max_iterations))
            }
        }
    }
}

fn unit_rows(embeddings: ArrayView2<'_, f32>) -> Result<Array2<f64>, AnchorError> {
    if embeddings.is_empty() {
        return Err(AnchorError::Degenerate("there are none"));
    }
    let mut rows = embeddings.mapv(f64::from);
    for mut row in rows.rows_mut() {
        let norm = row.dot(&row).sqrt();
        if norm == 0.0 || !norm.is_finite() {
            return Err(AnchorError::Degenerate("one is zero or not finite"));
        }
        row.mapv_inplace(|v| v / norm);
    }
    Ok(rows)
}

/// The mean of the rows with the most frequent label; the lowest label wins a tie; `None` means no cluster.
fn largest_cluster(rows: &Array2<f64>, labels: &[Option<usize>]) -> Option<Array1<f64>> {
    let mut sizes = vec![0usize; labels.iter().flatten().max()? + 1];
    labels.iter().flatten().for_each(|&l| sizes[l] += 1);
    let largest = sizes.iter().enumerate().max_by_key(|&(l, &n)| (n, std::cmp::Reverse(l)))?.0;
    let members: Vec<usize> = (0..labels.len()).filter(|&i| labels[i] == Some(largest)).collect();
    rows.select(Axis(0), &members).mean_axis(Axis(0))
}

fn squared_distance(a: ndarray::ArrayView1<'_, f64>, b: ndarray::ArrayView1<'_, f64>) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    const ALL: [Representative; 6] = [
        Representative::Mean,
        Representative::RawMean,
        Representative::Pca,
        Representative::Kde { bandwidth: 0.3 },
        Representative::Dbscan { eps: 0.5, min_samples: 1 },
        Representative::MeanShift { bandwidth: 2.0, max_iterations: 300 },
    ];

    #[test]
    fn one_sentence_stands_for_itself() {
        let one = array![[3.0f32, 0.0, -4.0]];
        for method in ALL.into_iter().filter(|&m| m != Representative::Pca) {
            let v = method.vector(one.view()).unwrap();
            assert!((&v - &array![0.6, 0.0, -0.8]).iter().all(|d| d.abs() < 1e-6), "{method:?}: {v}");
        }
        let same = array![[0.0f32, 1.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.5, 0.0]];
        for method in ALL {
            let v = method.vector(same.view()).unwrap();
            assert!((v.dot(&v) - 1.0).abs() < 1e-6 && v[1] > 0.7, "{method:?}: {v}");
        }
    }

    #[test]
    fn the_raw_mean_weighs_by_length() {
        let v = Representative::RawMean.vector(array![[3.0f32, 0.0], [0.0, 4.0]].view()).unwrap();
        assert!((&v - &array![0.6, 0.8]).iter().all(|d| d.abs() < 1e-6), "{v}");
    }

    #[test]
    fn what_has_no_direction_is_refused() {
        for method in ALL {
            for bad in [
                array![[0.0f32, 0.0], [1.0, 0.0]],
                array![[f32::NAN, 0.0], [1.0, 0.0]],
                array![[f32::INFINITY, 0.0], [1.0, 0.0]],
                Array2::zeros((0, 2)),
                Array2::zeros((2, 0)),
            ] {
                assert!(
                    matches!(method.vector(bad.view()), Err(AnchorError::Degenerate(_))),
                    "{method:?} {bad}"
                );
            }
        }
        let opposite = array![[1.0f32, 0.0], [-1.0, 0.0]];
        assert!(matches!(Representative::Mean.vector(opposite.view()), Err(AnchorError::Degenerate(_))));
        // Constant rows are zero after centring.
        let constant = array![[1.0f32, 1.0], [2.0, 2.0]];
        assert!(matches!(Representative::Pca.vector(constant.view()), Err(AnchorError::Degenerate(_))));
    }

    #[test]
    fn no_cluster_and_bad_parameters_say_what_to_do() {
        let spread = array![[1.0f32, 0.0], [0.0, 1.0], [-1.0, 0.0]];
        let error = Representative::dbscan().vector(spread.view()).unwrap_err().to_string();
        assert!(error.contains("eps 0.5") && error.contains("no cluster"), "{error}");
        for bad in [
            Representative::Kde { bandwidth: 0.0 },
            Representative::Kde { bandwidth: f64::NAN },
            Representative::Dbscan { eps: -1.0, min_samples: 3 },
            Representative::Dbscan { eps: 1.0, min_samples: 0 },
            Representative::MeanShift { bandwidth: f64::INFINITY, max_iterations: 3 },
            Representative::MeanShift { bandwidth: 1.0, max_iterations: 0 },
        ] {
            assert!(matches!(bad.vector(spread.view()), Err(AnchorError::Parameter { .. })), "{bad:?}");
        }
    }

    #[test]
    fn ties_go_to_the_lowest_label() {
        let rows = array![[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0], [5.0, 5.0]];
        let labels = [Some(1), Some(0), Some(0), Some(1), None];
        assert_eq!(largest_cluster(&rows, &labels), Some(array![0.0, 1.0]));
        assert_eq!(largest_cluster(&rows, &[None; 5]), None);
    }
}
