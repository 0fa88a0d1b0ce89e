//! Remembered pictures, and the distance of others to them.

use rayon::prelude::*;

use super::features::Features;
use crate::kernels::{Bank, Element, Isa};
use crate::methods::Trust;
use crate::methods::reference::highest_hundredth;

/// Share of the remembered pictures, the nearest ones, whose distances count if some of them may be damaged.
const NEAREST: f64 = 0.3;
/// Quantile of the highest distances in good pictures that is the level of good parts.
const GOOD: f64 = 0.95;

/// Where some may be damaged: the distance from the middle to that level, in distances from the lower quartile to the middle.
const SPREAD: f32 = 1.2;
/// Good parts differ more from a picture than changed copies of it do, by this factor.
const COPIES: f32 = 1.5;

/// Tells pictures apart by their pixels.
pub type Digest = [u8; 32];

/// The highest values that are usual in good pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Levels {
    /// Of a picture's value: the mean of the highest hundredth of its distances.
    pub picture: f32,
    /// Of its map.
    pub map: f32,
}

/// Remembered pictures.
#[derive(Debug, Clone)]
pub struct Memory {
    trust: Trust,
    width: usize,
    pictures: Vec<(Digest, Bank)>,
    levels: Levels,
}

impl Memory {
    /// Remembers pictures. With a single one, `copies` of it take the place of other good pictures. `highest` gives a
    /// map's highest value from the distances of a grid of patches.
    pub fn new(
        trust: Trust,
        pictures: &[(Digest, Features)],
        copies: &[Features],
        highest: impl Fn(&Features, &[f32]) -> f32,
    ) -> Self {
        let element = if Isa::best().has_bf16() { Element::Bf16 } else { Element::F32 };
        let width = pictures.first().map_or(0, |(_, features)| features.width);
        let bank = |(digest, features): &(Digest, Features)| {
            (*digest, Bank::new(element, width, &features.values, None))
        };
        let levels = Levels { picture: 1.0, map: 1.0 };
        let mut memory = Self { trust, width, pictures: pictures.iter().map(bank).collect(), levels };
        let of = |digest: Option<Digest>, features: &Features| {
            let distances = memory.distances(features, digest);
            (highest_hundredth(&distances), highest(features, &distances))
        };
        let (values, maps): (Vec<f32>, Vec<f32>) = match pictures {
            [_] => copies.iter().map(|copy| of(None, copy)).unzip(),
            _ => pictures.iter().map(|(digest, features)| of(Some(*digest), features)).unzip(),
        };
        let factor = if pictures.len() == 1 { COPIES } else { 1.0 };
        let level = |values: Vec<f32>| (factor * usual(values, trust)).max(1e-6);
        memory.levels = Levels { picture: level(values), map: level(maps) };
        memory
    }

    /// The levels of good parts: from the remembered pictures, each compared with the others.
    pub fn levels(&self) -> Levels {
        self.levels
    }

    /// The distance of every patch, 0..2, to the remembered pictures except the one with `digest`; with a single picture, to
    /// it.
    pub fn distances(&self, features: &Features, digest: Option<Digest>) -> Vec<f32> {
        let patches = features.values.len() / self.width.max(1);
        let is_other = |own: &Digest| self.pictures.len() == 1 || Some(*own) != digest;
        let others: Vec<&Bank> =
            self.pictures.iter().filter(|(own, _)| is_other(own)).map(|(_, bank)| bank).collect();
        // Of every picture the nearest patch: `[others, L]`.
        let mut nearest = vec![f32::MIN; others.len() * patches];
        for (bank, nearest) in others.iter().zip(nearest.chunks_exact_mut(patches.max(1))) {
            bank.products(&features.values, |_, number, products| {
                let rows = nearest.par_iter_mut().zip(products.par_chunks_exact(number)).with_min_len(16);
                rows.for_each(|(best, row)| *best = row.iter().copied().fold(*best, f32::max));
            });
        }
        let kept = match self.trust {
            Trust::Good => 1,
            Trust::Mixed => ((others.len() as f64 * NEAREST) as usize).max(1),
        };
        let one = |patch: usize| {
            let mut found: Vec<f32> = (0..others.len()).map(|j| nearest[j * patches + patch]).collect();
            found.sort_unstable_by(|a, b| b.total_cmp(a));
            let found = &found[..kept.min(found.len())];
            (1.0 - found.iter().sum::<f32>() / found.len().max(1) as f32).max(0.0)
        };
        (0..patches).into_par_iter().map(one).collect()
    }
}

/// The highest of the usual values. Where some pictures may be damaged it follows from the lower half.
fn usual(mut values: Vec<f32>, trust: Trust) -> f32 {
    values.sort_unstable_by(f32::total_cmp);
    let quantile = |share: f64| values.get(((values.len().max(1) - 1) as f64 * share).round() as usize);
    let (Some(middle), Some(lower), Some(good)) = (quantile(0.5), quantile(0.25), quantile(GOOD)) else {
        return 1.0;
    };
    match trust {
        Trust::Good => *good,
        Trust::Mixed => middle + SPREAD * (middle - lower),
    }
}
