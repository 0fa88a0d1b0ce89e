//! The figures of one class.

use serde::Serialize;

use super::PictureResult;
use crate::Result;
use crate::metrics::{Maps, PixelMetrics, PixelOptions, Ranking, image_metrics, pixel_metrics};

/// A method's figures on one class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassEvaluation {
    /// The class.
    pub class: String,
    /// Good pictures.
    pub good: usize,
    /// Damaged pictures.
    pub anomalous: usize,
    /// Pictures whose maps are part of the pixel metrics.
    pub with_pixels: usize,
    /// By this program's score, which depends on each picture alone; `None` if one label is missing.
    pub image: Option<Ranking>,
    /// By the official evaluation's score, which stretches values over the class; `None` also if that is
    /// undefined.
    pub image_reference: Option<Ranking>,
    /// Over the pixels of all maps.
    pub pixel: Option<PixelMetrics>,
}

/// Evaluates the results of one class. `official`: the official evaluation's score of each result
/// ([`ClassModel::official_scores`](crate::methods::ClassModel::official_scores)). `maps` are the maps of the
/// results with pixels; `None` leaves out the pixel metrics.
///
/// # Errors
/// A map cannot be read.
pub fn evaluate(
    class: &str,
    results: &[&PictureResult],
    official: &[f32],
    maps: Option<(&dyn Maps, &PixelOptions)>,
) -> Result<ClassEvaluation> {
    let labels: Vec<bool> = results.iter().map(|r| r.anomalous).collect();
    let scores: Vec<f32> = results.iter().map(|r| r.score).collect();
    let anomalous = labels.iter().filter(|&&l| l).count();
    Ok(ClassEvaluation {
        class: class.to_owned(),
        good: labels.len() - anomalous,
        anomalous,
        with_pixels: maps.map_or(0, |(m, _)| m.len()),
        image: image_metrics(&scores, &labels),
        image_reference: image_metrics(official, &labels),
        pixel: maps.map(|(maps, options)| pixel_metrics(maps, options)).transpose()?,
    })
}
