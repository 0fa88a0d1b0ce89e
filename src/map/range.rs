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

    /// The range of a run over many pictures of unknown condition, from the highest probabilities in the maps of some
    /// of them.
    ///
    /// Kinds of parts differ in the level of their good ones. A measured range is moved half of the way, on the logit
    /// scale, that would put its level of good parts at the 60 % quantile of the pictures: a run of good parts then
    /// colours few of them, and a run of damaged ones does not turn black. Without a measured range the level is at
    /// the upper quartile and the hottest colour twice the interquartile distance above it.
    ///
    /// `None` with fewer than [`MapRange::FEWEST`] pictures.
    pub fn of_run(measured: Option<Self>, highest: &[f32]) -> Option<Self> {
        if highest.len() < Self::FEWEST {
            return None;
        }
        let mut logits: Vec<f32> = highest.iter().map(|&p| logit(p)).collect();
        logits.sort_unstable_by(f32::total_cmp);
        let quantile = |percent: usize| logits[(logits.len() - 1) * percent / 100];
        let (good, damaged) = match measured {
            Some(Self { good, damaged }) => {
                let moved = (quantile(60) - logit(good)) / 2.0;
                (logit(good) + moved, logit(damaged) + moved)
            }
            None => (quantile(75), quantile(75) + 2.0 * (quantile(75) - quantile(25)).max(0.1)),
        };
        let probability = |logit: f32| 1.0 / (1.0 + (-logit).exp());
        Self::new(probability(good), probability(damaged))
    }

    /// Fewest pictures for the range of a run.
    pub const FEWEST: usize = 16;

    /// The level of good parts: few good pictures have a higher value anywhere.
    pub fn good(self) -> f32 {
        self.good
    }

    /// The level from which a colour is plain to see.
    pub fn visible(self) -> f32 {
        self.good + 0.15 * (self.damaged - self.good)
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

/// The logarithm of the odds, for probabilities kept away from 0 and 1.
fn logit(probability: f32) -> f32 {
    let p = probability.clamp(1e-4, 1.0 - 1e-4);
    (p / (1.0 - p)).ln()
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
    fn the_range_of_a_run_follows_its_pictures() {
        let measured = MapRange::new(0.5, 0.7).unwrap();
        assert_eq!(MapRange::of_run(Some(measured), &[0.1; MapRange::FEWEST - 1]), None);
        // Logits: 0 is moved half of the way to -2.
        let dark = MapRange::of_run(Some(measured), &[1.0 / (1.0 + 2f32.exp()); 20]).unwrap();
        assert!((dark.good() - 1.0 / (1.0 + 1f32.exp())).abs() < 1e-6 && dark.damaged() > dark.good());
        // A few damaged pictures change nothing.
        let mut some = [0.1; 20];
        some[..4].fill(0.99);
        assert_eq!(MapRange::of_run(Some(measured), &some), MapRange::of_run(Some(measured), &[0.1; 20]));
        let own = MapRange::of_run(None, &[0.3; 20]).unwrap();
        assert!((own.good() - 0.3).abs() < 1e-6 && own.damaged() > 0.33);
        for extreme in [0.0, 1.0, f32::NAN] {
            assert!(MapRange::of_run(Some(measured), &[extreme; 20]).is_none_or(|r| r.good() < r.damaged()));
        }
    }

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
