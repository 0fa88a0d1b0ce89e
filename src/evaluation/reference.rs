//! The image scores of the official evaluations, which stretch values over all pictures of a class.

use crate::adapters::Method;
use crate::anchors::Domain;

use super::PictureResult;

/// The score the official code would give each picture of a class, in its own arithmetic (f32).
///
/// Each part is stretched to 0..1 between its least and greatest value in the class. AA-CLIP (`metrics_eval`): half the
/// highest value of the map plus half the image prediction; for medical pictures the map alone. SDP and SDP+ (`test.py`,
/// `test_ft.py`): text probability plus the highest value of the map. A part that is the same in all pictures gives
/// NaN, as there.
pub fn reference_scores(method: Method, domain: Domain, results: &[&PictureResult]) -> Vec<f32> {
    let part = |f: fn(&PictureResult) -> Option<f32>| -> Vec<f32> {
        results.iter().map(|r| f(r).unwrap_or(f32::NAN)).collect()
    };
    let map_max = part(|r| Some(r.components.map_max));
    if !method.adapts_towers() {
        let (text, map) = (stretched(&part(|r| r.components.text_prob)), stretched(&map_max));
        return text.iter().zip(map).map(|(t, m)| t + m).collect();
    }
    let low = part(|r| Some(r.components.map_min)).into_iter().fold(f32::INFINITY, f32::min);
    let high = map_max.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let map: Vec<f32> = map_max.iter().map(|&v| unless_one(v, low, high)).collect();
    match domain {
        Domain::Medical => map,
        Domain::Industrial => {
            let image = part(|r| r.components.image_pred);
            let low = image.iter().copied().fold(f32::INFINITY, f32::min);
            let high = image.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            map.iter().zip(&image).map(|(m, &i)| 0.5 * m + 0.5 * unless_one(i, low, high)).collect()
        }
    }
}

fn stretched(values: &[f32]) -> Vec<f32> {
    let low = values.iter().copied().fold(f32::INFINITY, f32::min);
    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    values.iter().map(|v| (v - low) / (high - low)).collect()
}

/// AA-CLIP's code leaves values alone whose greatest is exactly 1.
fn unless_one(value: f32, low: f32, high: f32) -> f32 {
    if high == 1.0 { value } else { (value - low) / (high - low) }
}
