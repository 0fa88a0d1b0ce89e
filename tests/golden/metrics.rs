//! Metrics on random maps against the official functions and the scikit-learn calls they make.

use aaclip::metrics::{PixelMetrics, PixelOptions, Truth, image_metrics, pixel_metrics};
use candle_core::Tensor;
use serde_json::Value;

use crate::support::{self, Stack};

fn stack(maps: &Tensor, masks: &Tensor) -> Stack {
    let rows = |t: &Tensor| t.flatten_from(1).unwrap().to_vec2::<f32>().unwrap();
    let width = masks.dim(2).unwrap();
    let masks = rows(&masks.to_dtype(candle_core::DType::F32).unwrap());
    let truth = |m: &Vec<f32>| Truth::new(&m.iter().map(|&v| v > 0.5).collect::<Vec<_>>(), width);
    Stack { maps: rows(maps), truths: masks.iter().map(truth).collect() }
}

#[track_caller]
fn near(name: &str, found: f64, expected: &Value, tolerance: f64) {
    let expected = expected.as_f64().unwrap();
    println!("{name:32} {found:.12} expected {expected:.12}");
    assert!((found - expected).abs() <= tolerance, "{name}: {found} {expected}");
}

#[test]
fn every_figure_of_the_metrics_case() {
    let (t, case) = (support::tensors("metrics"), support::case("metrics"));
    let labels: Vec<bool> = t["labels"]
        .to_dtype(candle_core::DType::F32)
        .unwrap()
        .to_vec1::<f32>()
        .unwrap()
        .iter()
        .map(|&l| l > 0.5)
        .collect();
    for tag in ["continuous", "ties"] {
        let expected = &case["results"][tag];
        let scores: Vec<f32> = t[&format!("{tag}.image_scores")].to_vec1().unwrap();
        let image = image_metrics(&scores, &labels).unwrap();
        near("image auroc", image.auroc, &expected["image_auroc"], 1e-12);
        near("image ap", image.average_precision, &expected["image_ap"], 1e-12);
        near("image f1", image.f1_max, &expected["image_f1_max"], 1e-12);

        let maps = stack(&t[&format!("{tag}.maps")], &t["masks"]);
        // Once in one go and once in many parts.
        for at_once in [PixelOptions::default().pixels_at_once, 7000] {
            let options = |pro_limit| {
                let mut options = PixelOptions::default();
                (options.pro_limit, options.pixels_at_once) = (pro_limit, at_once);
                options
            };
            let found: PixelMetrics = pixel_metrics(&maps, &options(0.3)).unwrap();
            let ranking = found.ranking.unwrap();
            near("pixel auroc", ranking.auroc, &expected["pixel_auroc"], 1e-12);
            near("pixel ap", ranking.average_precision, &expected["pixel_ap"], 1e-12);
            near("pixel f1", ranking.f1_max, &expected["pixel_f1_max"], 1e-12);
            near("sampled pro", found.sampled_pro.unwrap(), &expected["pro_200_official"], 1e-9);
            near("aupro", found.aupro.unwrap(), &expected["aupro_exact_0.3"], 1e-9);
            for (limit, value) in expected["pro_limits_exact"].as_object().unwrap() {
                let found = pixel_metrics(&maps, &options(limit.parse().unwrap())).unwrap();
                near(&format!("aupro to {limit}"), found.aupro.unwrap(), value, 1e-9);
            }
        }
        let regions: usize = maps.truths.iter().map(|t| t.areas().len()).sum();
        assert_eq!(regions as u64, expected["pro_regions"].as_u64().unwrap());
    }
}
