//! Pixel metrics over any number of maps.

use serde::Serialize;

use super::{PRO_LIMIT, Ranking, Totals, Truth, binned, exact};
use crate::{Error, Result};

/// Maps with their ground truth; each map is read on request, possibly several times.
pub trait Maps: Sync {
    /// Number of maps.
    fn len(&self) -> usize;

    /// Whether there are no maps.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The damaged regions of picture `index`.
    fn truth(&self, index: usize) -> &Truth;

    /// Replaces the content of `values` by the values of map `index`, row by row.
    ///
    /// # Errors
    /// The map cannot be read.
    fn read(&self, index: usize, values: &mut Vec<f32>) -> Result<()>;
}

/// Resolution of the scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Resolution {
    /// Every distinct value is a threshold.
    #[default]
    Exact,
    /// Values are rounded to 11 binary digits (a relative step of 1/2048): one pass over the maps and 32 MB for
    /// any number of maps. The result comes with bounds.
    Binned,
}

/// Options of the pixel metrics.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct PixelOptions {
    /// Exact or binned.
    pub resolution: Resolution,
    /// Upper limit of the false-positive rate for PRO, in 0..1.
    pub pro_limit: f64,
    /// Number of pixels sorted together, 8 bytes each; it determines the number of passes in exact mode.
    pub pixels_at_once: usize,
}

impl Default for PixelOptions {
    fn default() -> Self {
        Self { resolution: Resolution::Exact, pro_limit: PRO_LIMIT, pixels_at_once: 48 << 20 }
    }
}

/// Pixel metrics of a set of maps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PixelMetrics {
    /// AUROC, average precision and F1-max over all pixels; `None` if no pixel is damaged or no pixel is
    /// good.
    pub ranking: Option<Ranking>,
    /// Area under the per-region overlap up to the limit, divided by the limit (AUPRO).
    pub aupro: Option<f64>,
    /// PRO as in CLIP-AD's code: 200 thresholds, rates below the limit stretched to 0..1. Only in exact mode.
    pub sampled_pro: Option<f64>,
    /// Largest difference between each figure and its exact value; 0 in exact mode.
    pub bounds: Bounds,
}

/// The largest possible difference between each figure and its exact value.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Bounds {
    /// Of the AUROC.
    pub auroc: f64,
    /// Of the average precision.
    pub average_precision: f64,
    /// Of F1-max.
    pub f1_max: f64,
    /// Of AUPRO.
    pub aupro: f64,
}

/// Computes pixel metrics over all maps together.
///
/// Exact mode reads every map once for the distribution of the values, then once per `pixels_at_once` pixels;
/// its memory does not grow with the number of maps.
///
/// # Errors
/// A map that cannot be read, has another size than its truth, or has a value that is not finite.
pub fn pixel_metrics(maps: &dyn Maps, options: &PixelOptions) -> Result<PixelMetrics> {
    let mut totals = Totals { positives: 0, negatives: 0, regions: 0 };
    let mut shares = Vec::new();
    let mut first_region = Vec::with_capacity(maps.len());
    for i in 0..maps.len() {
        let truth = maps.truth(i);
        first_region.push(shares.len());
        shares.extend(truth.areas().iter().map(|&a| 1.0 / f64::from(a)));
        totals.positives += truth.damaged();
        totals.negatives += truth.pixels() as u64 - truth.damaged();
    }
    totals.regions = shares.len() as u64;
    let pixels = Pixels { maps, shares, first_region };
    let (mut sweep, bounds) = match options.resolution {
        Resolution::Exact => (exact::sweep(&pixels, totals, options)?, Bounds::default()),
        Resolution::Binned => binned::sweep(&pixels, totals, options)?,
    };
    let (aupro, sampled_pro) = (sweep.aupro(), sweep.sampled_pro());
    let defined = totals.positives > 0 && totals.negatives > 0;
    Ok(PixelMetrics { aupro, sampled_pro, bounds, ranking: defined.then(|| sweep.ranking()) })
}

/// A pixel: the rank of its value among all floats, and its region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pixel {
    pub(super) key: u32,
    /// Number of the region, counted over all maps.
    pub(super) region: Option<u32>,
}

/// All maps, with their regions numbered consecutively.
pub(super) struct Pixels<'a> {
    maps: &'a dyn Maps,
    /// One over the area of each region.
    pub shares: Vec<f64>,
    first_region: Vec<usize>,
}

impl Pixels<'_> {
    pub fn len(&self) -> usize {
        self.maps.len()
    }

    /// Calls `each` with every pixel of a map.
    pub fn visit(&self, index: usize, buffer: &mut Vec<f32>, mut each: impl FnMut(Pixel)) -> Result<()> {
        self.maps.read(index, buffer)?;
        let truth = self.maps.truth(index);
        if buffer.len() != truth.pixels() {
            return Err(Error::Setting(format!(
                "map {index} has {} values, but its mask has {}",
                buffer.len(),
                truth.pixels()
            )));
        }
        if buffer.iter().any(|v| !v.is_finite()) {
            return Err(Error::NotFinite { what: "a value of an anomaly map" });
        }
        let first = self.first_region[index] as u32;
        truth.visit(buffer, |value, region| {
            each(Pixel { key: key(value), region: region.map(|r| first + r) })
        });
        Ok(())
    }
}

/// An integer with the order of the float; 0 and -0 are equal.
pub(super) fn key(value: f32) -> u32 {
    let bits = (value + 0.0).to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

/// The float of a key.
pub(super) fn value(key: u32) -> f32 {
    f32::from_bits(if key >> 31 == 1 { key & !(1 << 31) } else { !key })
}
