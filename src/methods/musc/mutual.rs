//! Mutual scoring (MSM): patches that few other pictures have are suspicious.

use std::ops::Range;

use rayon::prelude::*;

use crate::kernels::{Bank, Element};

/// Pictures whose patches are packed at the same time; with 1,369 patches of 1,024 numbers they need 90 MB.
const PACKED: usize = 16;
/// Products above this are differences of nearly equal numbers: the distance is computed anew.
const NEAR: f32 = 1.0 - 1e-4;

/// The share of other pictures, those with the nearest patches, whose distances count.
pub const NEAREST: Range<f64> = 0.0..0.3;

/// The patches of some pictures, each `[L, width]`, of unit length.
pub trait Patches: Sync {
    /// Number of pictures.
    fn count(&self) -> usize;

    /// Numbers per patch.
    fn width(&self) -> usize;

    /// The patches of a picture.
    ///
    /// # Errors
    /// They cannot be read.
    fn of(&self, picture: usize) -> crate::Result<Vec<f32>>;
}

/// For every picture and each of its patches the distance to the nearest patch of every other picture, in their order:
/// `[L, count - 1]`. `step` is called after every pair of pictures.
///
/// # Errors
/// Patches cannot be read.
pub fn nearest_patches(patches: &dyn Patches, step: &dyn Fn()) -> crate::Result<Vec<Vec<f32>>> {
    let (count, width) = (patches.count(), patches.width());
    let mut lengths = Vec::with_capacity(count);
    let mut found: Vec<Vec<f32>> = Vec::with_capacity(count);
    for first in (0..count).step_by(PACKED) {
        let banked: Vec<(Vec<f32>, Bank)> = (first..count.min(first + PACKED))
            .map(|j| {
                let vectors = patches.of(j)?;
                let bank = Bank::new(Element::F32, width, &vectors, None);
                Ok((vectors, bank))
            })
            .collect::<crate::Result<_>>()?;
        for (vectors, _) in &banked {
            lengths.push(vectors.len() / width);
            found.push(vec![0.0; vectors.len() / width * (count - 1)]);
        }
        // One product gives the distances in both directions.
        for i in 0..first + banked.len() {
            let own = if i < first { &patches.of(i)? } else { &banked[i - first].0 };
            for (j, (vectors, bank)) in (first..).zip(&banked).filter(|(j, _)| *j > i) {
                let (rows, columns) = largest(bank, own, vectors, width);
                let mut put = |from: usize, to: usize, values: Vec<f32>| {
                    let place = if to < from { to } else { to - 1 };
                    found[from]
                        .iter_mut()
                        .skip(place)
                        .step_by(count - 1)
                        .zip(values)
                        .for_each(|(f, v)| *f = v);
                };
                put(i, j, rows);
                put(j, i, columns);
                step();
            }
        }
    }
    Ok(found)
}

/// The distance of each of `own` to the nearest of `others`, which `bank` holds, and of each of `others` to the nearest of
/// `own`.
fn largest(bank: &Bank, own: &[f32], others: &[f32], width: usize) -> (Vec<f32>, Vec<f32>) {
    let mut rows = vec![(f32::MIN, 0); own.len() / width];
    let mut columns = vec![(f32::MIN, 0); others.len() / width];
    bank.products(own, |first, number, products| {
        rows.par_iter_mut().zip(products.par_chunks_exact(number)).with_min_len(16).for_each(
            |(best, row)| {
                for (at, &product) in row.iter().enumerate() {
                    if product > best.0 {
                        *best = (product, first + at);
                    }
                }
            },
        );
        // Column by column in blocks of a cache line.
        columns[first..first + number].par_chunks_mut(16).enumerate().for_each(|(block, best)| {
            for (row, products) in products.chunks_exact(number).enumerate() {
                for (best, &product) in best.iter_mut().zip(&products[block * 16..]) {
                    if product > best.0 {
                        *best = (product, row);
                    }
                }
            }
        });
    });
    let distances = |best: Vec<(f32, usize)>, from: &[f32], to: &[f32]| -> Vec<f32> {
        let one = |(at, (product, place)): (usize, (f32, usize))| {
            if product < NEAR {
                return (2.0 - 2.0 * f64::from(product)).sqrt() as f32;
            }
            let (a, b) = (&from[at * width..][..width], &to[place * width..][..width]);
            a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt() as f32
        };
        best.into_iter().enumerate().map(one).collect()
    };
    (distances(rows, own, others), distances(columns, others, own))
}

/// The mean of the distances of each patch at the places `interval` of their ascending order. `distances` is
/// `[L, others]`. Ends below 1 are shares of `others`, the rest are numbers.
pub fn interval_mean(distances: &[f32], others: usize, interval: &Range<f64>) -> Vec<f64> {
    let place = |end: f64| if end < 1.0 { (end * others as f64) as usize } else { end as usize };
    let (low, high) = (place(interval.start), place(interval.end));
    let (low, high) = (low.min(high), low.max(high).min(others));
    let one = |patch: &[f32]| {
        let mut sorted = patch.to_vec();
        sorted.sort_unstable_by(f32::total_cmp);
        let kept = &sorted[low.min(high)..high];
        kept.iter().map(|&d| f64::from(d)).sum::<f64>() / kept.len() as f64
    };
    distances.par_chunks_exact(others.max(1)).map(one).collect()
}
