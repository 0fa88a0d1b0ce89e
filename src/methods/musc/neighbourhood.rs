//! The features of a patch with its neighbourhood (LNAMD).

use rayon::prelude::*;

/// Number added to the variance.
const EPSILON: f64 = 1e-5;

/// Features `[L, W]` of the patches of one picture, normalised over the whole picture, averaged over `degree` x `degree`
/// patches and brought to unit length. `grid`: rows and columns. Beyond the border there are zeros, which count.
pub fn neighbourhoods(patches: &[f32], (rows, columns): (usize, usize), degree: usize) -> Vec<f32> {
    let width = patches.len() / (rows * columns).max(1);
    let count = patches.len().max(1) as f64;
    let mean = patches.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
    let variance = patches.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count;
    let (mean, scale) = (mean as f32, (variance + EPSILON).sqrt().recip() as f32);
    let radius = degree / 2;
    let mut out = vec![0f32; patches.len()];
    out.par_chunks_exact_mut(width.max(1)).enumerate().for_each(|(at, sum)| {
        let (y, x) = (at / columns, at % columns);
        for row in y.saturating_sub(radius)..(y + radius + 1).min(rows) {
            for column in x.saturating_sub(radius)..(x + radius + 1).min(columns) {
                let patch = &patches[(row * columns + column) * width..][..width];
                sum.iter_mut().zip(patch).for_each(|(sum, v)| *sum += (v - mean) * scale);
            }
        }
        // The number of patches in the mean does not change the direction.
        let length = sum.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt() as f32;
        sum.iter_mut().for_each(|v| *v /= length);
    });
    out
}
