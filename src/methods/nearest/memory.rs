//! Remembered pictures, and the distance of others to them.

use rayon::prelude::*;

use super::features::Features;
use crate::kernels::{Bank, Element, Isa};
use crate::methods::Trust;

/// Share of the remembered pictures, the nearest ones, whose distances count if some of them may be damaged.
const NEAREST: f64 = 0.3;
/// Quantile of the highest distances in good pictures that is the level of good parts.
const GOOD: f64 = 0.95;

/// Tells pictures apart by their pixels.
pub type Digest = [u8; 32];

/// Remembered pictures.
#[derive(Debug, Clone)]
pub struct Memory {
    trust: Trust,
    width: usize,
    pictures: Vec<(Digest, Bank)>,
    /// The level of good parts: the highest distance in most of the pictures, each compared with the others.
    good: f32,
}

impl Memory {
    /// Remembers pictures. With a single one, `copies` of it take the place of other good pictures.
    pub fn new(trust: Trust, pictures: &[(Digest, Features)], copies: &[Features]) -> Self {
        let element = if Isa::best().has_bf16() { Element::Bf16 } else { Element::F32 };
        let width = pictures.first().map_or(0, |(_, features)| features.width);
        let bank = |(digest, features): &(Digest, Features)| {
            (*digest, Bank::new(element, width, &features.values, None))
        };
        let mut memory = Self { trust, width, pictures: pictures.iter().map(bank).collect(), good: 1.0 };
        let highest = |(digest, features): (Option<Digest>, &Features)| {
            memory.distances(features, digest).into_iter().fold(0f32, f32::max)
        };
        let mut all: Vec<f32> = match pictures {
            [_] => copies.iter().map(|copy| highest((None, copy))).collect(),
            _ => pictures.iter().map(|(digest, features)| highest((Some(*digest), features))).collect(),
        };
        all.sort_unstable_by(f32::total_cmp);
        // Where some may be damaged, the level follows from the better half.
        let quantile = match trust {
            Trust::Good => GOOD,
            Trust::Mixed => 0.5,
        };
        if let Some(level) =
            all.get(((all.len() as f64 * quantile) as usize).min(all.len().saturating_sub(1)))
        {
            memory.good = level.max(1e-6);
        }
        memory
    }

    /// The level of good parts.
    pub fn good(&self) -> f32 {
        self.good
    }

    /// The distance of every patch, 0..2, to the remembered pictures except the one with `digest`.
    pub fn distances(&self, features: &Features, digest: Option<Digest>) -> Vec<f32> {
        let patches = features.values.len() / self.width.max(1);
        let others: Vec<&Bank> =
            self.pictures.iter().filter(|(own, _)| Some(*own) != digest).map(|(_, bank)| bank).collect();
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
