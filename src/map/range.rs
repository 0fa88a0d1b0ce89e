//! The range of a map's values that is worth a colour.

use serde::{Deserialize, Serialize};

/// The position of good parts and of clear damage on the scale of a model's probabilities. One range is used for
/// all pictures of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Ends", into = "Ends")]
pub struct MapRange {
    good: f32,
    damaged: f32,
}

/// The stored form.
#[derive(Serialize, Deserialize)]
struct Ends {
    good: f32,
    damaged: f32,
}

impl MapRange {
    /// The range of a model without measurements: from 0.5 (as close to the normal anchor as to the abnormal
    /// one) to 1.
    pub const UNMEASURED: Self = Self { good: 0.5, damaged: 1.0 };

    /// `None` unless `0 <= good < damaged <= 1`.
    pub fn new(good: f32, damaged: f32) -> Option<Self> {
        (0.0 <= good && good < damaged && damaged <= 1.0).then_some(Self { good, damaged })
    }

    /// The level of good parts: few good pictures have a higher value anywhere.
    pub fn good(self) -> f32 {
        self.good
    }

    /// The level of clear damage.
    pub fn damaged(self) -> f32 {
        self.damaged
    }

    /// The position of a value: 0 at the level of good parts and below, 1 at the level of clear damage and
    /// above.
    pub fn position(self, value: f32) -> f32 {
        ((value - self.good) / (self.damaged - self.good)).clamp(0.0, 1.0)
    }
}

impl Default for MapRange {
    fn default() -> Self {
        Self::UNMEASURED
    }
}

impl TryFrom<Ends> for MapRange {
    type Error = String;

    fn try_from(Ends { good, damaged }: Ends) -> Result<Self, String> {
        let refused = || format!("a range from {good} to {damaged}, expected 0 <= good < damaged <= 1");
        Self::new(good, damaged).ok_or_else(refused)
    }
}

impl From<MapRange> for Ends {
    fn from(MapRange { good, damaged }: MapRange) -> Self {
        Self { good, damaged }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_and_refusals() {
        let range = MapRange::new(0.25, 0.75).unwrap();
        assert_eq!([0.0, 0.25, 0.5, 0.75, 1.0].map(|v| range.position(v)), [0.0, 0.0, 0.5, 1.0, 1.0]);
        for (good, damaged) in [(0.5, 0.5), (0.6, 0.5), (-0.1, 0.5), (0.5, 1.1), (f32::NAN, 0.5)] {
            assert_eq!(MapRange::new(good, damaged), None);
        }
        let text = serde_json::to_string(&range).unwrap();
        assert_eq!(serde_json::from_str::<MapRange>(&text).unwrap(), range);
        assert!(serde_json::from_str::<MapRange>(r#"{"good": 1, "damaged": 0}"#).is_err());
    }
}
