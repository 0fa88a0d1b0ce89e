//! How well scores and maps separate good from damaged: AUROC, average precision, F1-max and PRO.
//!
//! Every distinct value is a threshold and ties are one threshold, as in scikit-learn. Scores are visited
//! once in descending order ([`Sweep`]), which gives all figures and curves together. For pixels,
//! [`pixel_metrics`] does this in bounded memory for any number of maps.

mod binned;
mod exact;
mod pixel;
mod sweep;
mod truth;

pub use pixel::{Bounds, Maps, Pixel, PixelMetrics, PixelOptions, Resolution, pixel_metrics};
pub use sweep::{CurvePoint, Group, Ranking, Sweep, Totals};
pub use truth::Truth;

/// The usual upper limit of the false-positive rate for PRO.
pub const PRO_LIMIT: f64 = 0.3;

/// Ranks pictures by score. `None` if one of the two labels is missing or a score is not finite.
pub fn image_metrics(scores: &[f32], anomalous: &[bool]) -> Option<Ranking> {
    let positives = anomalous.iter().filter(|&&a| a).count() as u64;
    let negatives = anomalous.len() as u64 - positives;
    if positives == 0 || negatives == 0 || scores.iter().any(|s| !s.is_finite()) {
        return None;
    }
    let mut order: Vec<(f32, bool)> = scores.iter().copied().zip(anomalous.iter().copied()).collect();
    order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let mut sweep = Sweep::new(Totals { positives, negatives, regions: 0 }, PRO_LIMIT);
    // `==` instead of the total order, so that -0 ties with 0.
    for tied in order.chunk_by(|a, b| a.0 == b.0) {
        let positives = tied.iter().filter(|t| t.1).count() as u64;
        let negatives = tied.len() as u64 - positives;
        sweep.visit(Group { value: tied[0].0, positives, negatives, overlap: 0.0 });
    }
    Some(sweep.ranking())
}
