//! Exact metrics in bounded memory: every distinct value is a threshold. The range of values is cut into
//! parts with few enough pixels; each part, the highest first, is collected from all maps, sorted and
//! visited.

use std::sync::Mutex;

use rayon::prelude::*;

use super::pixel::{Pixels, value};
use super::{Group, Pixel, PixelOptions, Sweep, Totals};
use crate::Result;

/// Number of values of the upper half of a key, which are counted first.
const COARSE: usize = 1 << 16;

pub(super) fn sweep(pixels: &Pixels<'_>, totals: Totals, options: &PixelOptions) -> Result<Sweep> {
    let survey = Survey::of(pixels)?;
    let mut sweep = Sweep::new(totals, options.pro_limit);
    let parts = parts(&survey.counts, options.pixels_at_once as u64);
    if !parts.is_empty() {
        sweep = sweep.with_sampled_pro(value(survey.low), value(survey.high));
    }
    for part in &parts {
        if part.first == part.last && part.pixels > options.pixels_at_once as u64 {
            visit_crowded(pixels, part.first, &mut sweep)?;
        } else {
            visit_part(pixels, part, &mut sweep)?;
        }
    }
    Ok(sweep)
}

/// A range of coarse values, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    first: u16,
    last: u16,
    pixels: u64,
}

impl Part {
    fn holds(&self, key: u32) -> bool {
        let coarse = (key >> 16) as u16;
        (self.first..=self.last).contains(&coarse)
    }
}

/// The distribution of the values.
struct Survey {
    /// Pixels by the upper half of their key.
    counts: Vec<u64>,
    /// The smallest and the largest key.
    low: u32,
    high: u32,
}

impl Survey {
    fn empty() -> Self {
        Self { counts: vec![0; COARSE], low: u32::MAX, high: 0 }
    }

    fn and(mut self, other: Self) -> Self {
        self.counts.iter_mut().zip(other.counts).for_each(|(a, b)| *a += b);
        Self { counts: self.counts, low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    fn of(pixels: &Pixels<'_>) -> Result<Self> {
        let start = || (Self::empty(), Vec::new());
        let add = |(mut survey, mut buffer): (Self, Vec<f32>), i| -> Result<_> {
            pixels.visit(i, &mut buffer, |p| {
                survey.counts[(p.key >> 16) as usize] += 1;
                survey.low = survey.low.min(p.key);
                survey.high = survey.high.max(p.key);
            })?;
            Ok((survey, buffer))
        };
        (0..pixels.len())
            .into_par_iter()
            .try_fold(start, add)
            .map(|state| state.map(|(survey, _)| survey))
            .try_reduce(Self::empty, |a, b| Ok(a.and(b)))
    }
}

/// Cuts the range of values, from the highest down, into parts of at most `at_once` pixels where possible.
fn parts(counts: &[u64], at_once: u64) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for (coarse, &count) in counts.iter().enumerate().rev().filter(|(_, c)| **c > 0) {
        let coarse = coarse as u16;
        match parts.last_mut() {
            Some(part) if part.pixels + count <= at_once => {
                part.first = coarse;
                part.pixels += count;
            }
            _ => parts.push(Part { first: coarse, last: coarse, pixels: count }),
        }
    }
    parts
}

/// Collects the pixels of a part from all maps, sorts and visits them.
fn visit_part(pixels: &Pixels<'_>, part: &Part, sweep: &mut Sweep) -> Result<()> {
    let all = Mutex::new(Vec::with_capacity(part.pixels as usize));
    (0..pixels.len()).into_par_iter().try_for_each_init(
        || (Vec::new(), Vec::new()),
        |(buffer, mine), i| -> Result<()> {
            mine.clear();
            pixels.visit(i, buffer, |p| {
                if part.holds(p.key) {
                    mine.push(pack(p));
                }
            })?;
            // A poisoned lock means that another thread panicked; that panic will be reported.
            all.lock().unwrap_or_else(|e| e.into_inner()).extend_from_slice(mine);
            Ok(())
        },
    )?;
    let mut all = all.into_inner().unwrap_or_else(|e| e.into_inner());
    // Sorted by region too, so that sums do not depend on the order of threads.
    all.par_sort_unstable_by(|a, b| b.cmp(a));
    for tied in all.chunk_by(|a, b| a >> 32 == b >> 32) {
        let mut group = Group::empty(value((tied[0] >> 32) as u32));
        tied.iter().for_each(|&packed| add(&mut group, unpack(packed), &pixels.shares));
        sweep.visit(group);
    }
    Ok(())
}

fn pack(pixel: Pixel) -> u64 {
    u64::from(pixel.key) << 32 | pixel.region.map_or(0, |r| u64::from(r) + 1)
}

fn unpack(packed: u64) -> Pixel {
    Pixel { key: (packed >> 32) as u32, region: (packed as u32).checked_sub(1) }
}

/// For a coarse value of too many pixels to sort at once: counts its 65,536 fine values instead.
fn visit_crowded(pixels: &Pixels<'_>, coarse: u16, sweep: &mut Sweep) -> Result<()> {
    let base = u32::from(coarse) << 16;
    let mut groups: Vec<Group> = (0..COARSE as u32).map(|low| Group::empty(value(base | low))).collect();
    let mut buffer = Vec::new();
    for i in 0..pixels.len() {
        pixels.visit(i, &mut buffer, |p| {
            if p.key >> 16 == u32::from(coarse) {
                add(&mut groups[(p.key & 0xffff) as usize], p, &pixels.shares);
            }
        })?;
    }
    groups.iter().rev().filter(|g| g.positives + g.negatives > 0).for_each(|g| sweep.visit(*g));
    Ok(())
}

/// Adds a pixel to its group.
pub(super) fn add(group: &mut Group, pixel: Pixel, shares: &[f64]) {
    match pixel.region {
        Some(region) => {
            group.positives += 1;
            group.overlap += shares[region as usize];
        }
        None => group.negatives += 1,
    }
}
