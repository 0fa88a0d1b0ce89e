//! Binned metrics: values are rounded, one pass over the maps, with bounds on the rounding error.

use super::exact::add;
use super::pixel::{Pixels, value};
use super::{Bounds, Group, PixelOptions, Sweep, Totals};
use crate::Result;

/// Bits of a key that are dropped; sign, exponent and 11 bits of the mantissa remain.
const DROPPED: u32 = 12;

pub(super) fn sweep(pixels: &Pixels<'_>, totals: Totals, options: &PixelOptions) -> Result<(Sweep, Bounds)> {
    let mut bins: Vec<Group> =
        (0..1 << (32 - DROPPED)).map(|bin: u32| Group::empty(value(bin << DROPPED))).collect();
    let mut buffer = Vec::new();
    for i in 0..pixels.len() {
        pixels.visit(i, &mut buffer, |p| add(&mut bins[(p.key >> DROPPED) as usize], p, &pixels.shares))?;
    }
    bins.retain(|bin| bin.positives + bin.negatives > 0);
    let mut sweep = Sweep::new(totals, options.pro_limit);
    bins.iter().rev().for_each(|bin| sweep.visit(*bin));
    let bounds = bounds(bins.iter().rev(), totals, options.pro_limit);
    Ok((sweep, bounds))
}

/// The largest error of each figure, over all orders of the pixels inside each bin.
///
/// The extremes are "all damaged first" and "all good first" in every bin; exact curves are between these.
fn bounds<'a>(bins: impl Iterator<Item = &'a Group>, totals: Totals, limit: f64) -> Bounds {
    let (p_all, n_all) = (totals.positives.max(1) as f64, totals.negatives.max(1) as f64);
    let regions = totals.regions.max(1) as f64;
    let (mut found, mut alarms, mut overlap) = (0.0, 0.0, 0.0);
    let (mut auroc, mut ap_above, mut ap_below, mut f1, mut f1_best, mut aupro) =
        (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    for bin in bins {
        let (p, n) = (bin.positives as f64, bin.negatives as f64);
        auroc += p * n / 2.0;
        if p > 0.0 {
            let binned = (found + p) / (found + p + alarms + n);
            // Precision grows with every further damaged pixel.
            ap_above += p * ((found + p) / (found + p + alarms) - binned);
            ap_below += p * (binned - (found + 1.0) / (found + 1.0 + alarms + n));
        }
        let f1_of = |found: f64, alarms: f64| 2.0 * found / (found + alarms + p_all);
        f1_best = f64::max(f1_best, f1_of(found + p, alarms));
        f1 = f64::max(f1, f1_of(found + p, alarms + n));
        if alarms / n_all < limit {
            aupro += n / n_all * bin.overlap / regions / 2.0;
        }
        found += p;
        alarms += n;
        overlap += bin.overlap;
    }
    debug_assert!(overlap <= regions * (1.0 + 1e-6));
    Bounds {
        auroc: auroc / (p_all * n_all),
        average_precision: f64::max(ap_above, ap_below) / p_all,
        f1_max: f1_best - f1,
        aupro: aupro / limit,
    }
}
