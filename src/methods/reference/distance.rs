//! The memory of patches, and the distance of others to it.

use std::str::FromStr;

use crate::kernels::{Bank, Element, Match};

/// How patches are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Metric {
    /// Half of the mean squared distance of vectors of unit length: the cosine distance.
    #[default]
    Cosine,
    /// The root of the mean squared distance.
    L2,
}

impl FromStr for Metric {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        match name {
            "cosine" => Ok(Self::Cosine),
            "l2" => Ok(Self::L2),
            _ => Err(()),
        }
    }
}

/// Patches of good parts.
#[derive(Debug, Clone)]
pub struct Memory {
    metric: Metric,
    width: usize,
    bank: Bank,
}

impl Memory {
    /// The memory of patches `[count, width]`.
    pub fn new(metric: Metric, width: usize, mut patches: Vec<f32>) -> Self {
        let bank = match metric {
            Metric::Cosine => {
                patches.chunks_exact_mut(width).for_each(to_unit);
                Bank::new(Element::F32, width, &patches, None)
            }
            // The largest `a b - b b / 2` belongs to the smallest distance.
            Metric::L2 => {
                let offsets: Vec<f32> = patches.chunks_exact(width).map(|p| -0.5 * square(p)).collect();
                Bank::new(Element::F32, width, &patches, Some(&offsets))
            }
        };
        Self { metric, width, bank }
    }

    /// Number of patches.
    pub fn len(&self) -> usize {
        self.bank.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bank.is_empty()
    }

    /// The distance of each of `patches` `[count, width]` to its `neighbours` nearest.
    pub fn distances(&self, mut patches: Vec<f32>, neighbours: usize) -> Vec<f32> {
        if self.metric == Metric::Cosine {
            patches.chunks_exact_mut(self.width).for_each(to_unit);
        }
        let best = self.bank.best(&patches, neighbours);
        let one = |(patch, best): (&[f32], &Vec<Match>)| {
            let own = if self.metric == Metric::Cosine { 1.0 } else { f64::from(square(patch)) };
            let other = if self.metric == Metric::Cosine { 1.0 } else { 0.0 };
            let squared = |product: f32| (own + other - 2.0 * f64::from(product)).max(0.0);
            let mean = best.iter().map(|m| squared(m.product)).sum::<f64>() / best.len().max(1) as f64;
            let distance = if self.metric == Metric::Cosine { mean / 2.0 } else { mean.sqrt() };
            distance as f32
        };
        patches.chunks_exact(self.width).zip(&best).map(one).collect()
    }
}

/// The mean of the highest hundredth of distances; of less than a hundred, the highest.
pub fn highest_hundredth(distances: &[f32]) -> f32 {
    let mut sorted = distances.to_vec();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    let count = ((distances.len() as f64 * 0.01) as usize).max(1).min(sorted.len());
    let sum: f64 = sorted[..count].iter().map(|&d| f64::from(d)).sum();
    (sum / count.max(1) as f64) as f32
}

fn square(vector: &[f32]) -> f32 {
    vector.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() as f32
}

fn to_unit(vector: &mut [f32]) {
    let length = square(vector).sqrt();
    vector.iter_mut().for_each(|v| *v /= length);
}
