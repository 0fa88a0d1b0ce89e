//! From maps of known pictures to the levels that colours and regions start at.

use serde::{Deserialize, Serialize};

use super::from_good;
use crate::map::MapRange;

/// Expected share of further good pictures with any colour; fewer have one that is plain to see.
pub const GLOW_RATE: f64 = 0.1;

/// Levels of the maps of one class, as probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MapLevels {
    /// Where colours begin and where they are hottest.
    pub range: MapRange,
    /// A pixel with a value at or above it belongs to a region.
    pub region_threshold: f32,
}

/// The levels from the highest map values of good pictures, and of damaged ones if there are any.
///
/// Colours begin where [`GLOW_RATE`] of good pictures reach, regions where the share `target` does, both by the
/// rule of [`from_good`]. The hottest colour is at the median of the damaged pictures; without any, as far above
/// the first as in `model`, the range measured for the model.
///
/// `None` without good pictures, or if a value is not finite.
pub fn map_levels(good: &[f32], damaged: &[f32], target: f64, model: Option<MapRange>) -> Option<MapLevels> {
    let level = from_good(good, GLOW_RATE)?.threshold.clamp(0.0, HIGHEST);
    let region_threshold = from_good(good, target)?.threshold.clamp(level, 1.0);
    let model = model.unwrap_or_default();
    let span = model.damaged() - model.good();
    let mut damaged = damaged.to_vec();
    damaged.sort_unstable_by(f32::total_cmp);
    let hottest = damaged.get(damaged.len() / 2).copied().unwrap_or(level + span);
    let range = MapRange::new(level, hottest.max(level + span / 4.0).min(1.0))?;
    Some(MapLevels { range, region_threshold })
}

/// The highest level of good parts: above it no colours would be left.
const HIGHEST: f32 = 0.99;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_begin_above_most_good_pictures() {
        let good: Vec<f32> = (0..100).map(|i| i as f32 / 200.0).collect();
        let levels = map_levels(&good, &[], 0.01, MapRange::new(0.4, 0.7)).unwrap();
        assert!((good.iter().filter(|&&g| g > levels.range.good()).count()) <= 10);
        assert!(good.iter().all(|&g| g < levels.region_threshold));
        assert!((levels.range.damaged() - levels.range.good() - 0.3).abs() < 1e-6);
        let known = map_levels(&good, &[0.9, 0.8, 0.95], 0.01, None).unwrap();
        assert_eq!((known.range.good(), known.range.damaged()), (levels.range.good(), 0.9));
    }

    #[test]
    fn extreme_pictures_leave_a_range() {
        for good in [vec![1.0f32; 30], vec![0.0; 3], vec![0.5]] {
            let levels = map_levels(&good, &[0.1], 0.01, None).unwrap();
            assert!(levels.range.good() < levels.range.damaged() && levels.region_threshold <= 1.0);
        }
        assert_eq!(map_levels(&[], &[0.9], 0.01, None), None);
        assert_eq!(map_levels(&[f32::NAN], &[], 0.01, None), None);
    }
}
