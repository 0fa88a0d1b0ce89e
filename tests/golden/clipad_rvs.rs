//! CLIP-AD's representative vectors.

use aaclip::anchors::{Polarity, PromptSet, Representative, kde_log_density};
use candle_core::Tensor;
use ndarray::{Array1, Array2};

use crate::support::{case, tensors};

const TOLERANCE: f32 = 1e-5;

fn rows(t: &Tensor) -> Array2<f32> {
    let rows: Vec<Vec<f32>> = t.to_vec2().unwrap();
    Array2::from_shape_fn((rows.len(), rows[0].len()), |(r, c)| rows[r][c])
}

fn column(t: &Tensor, i: usize) -> Array1<f32> {
    match t.rank() {
        1 => Array1::from(t.to_vec1::<f32>().unwrap()),
        _ => rows(t).column(i).to_owned(),
    }
}

#[track_caller]
fn assert_vector(name: &str, found: &Array1<f32>, expected: &Array1<f32>) {
    let largest = (found - expected).iter().fold(0.0f32, |m, d| m.max(d.abs()));
    println!("{name:50} largest difference {largest:.2e}");
    assert!(largest <= TOLERANCE, "{name}: {largest:e}");
}

#[test]
fn prompts_match() {
    let case = case("clipad_rvs");
    let set = PromptSet::load("clip-ad").unwrap();
    for (key, polarity) in [("normal", Polarity::Normal), ("abnormal", Polarity::Abnormal)] {
        let listed = case["prompts"]["bottle"][key].as_array().unwrap();
        let expected: Vec<&str> = listed.iter().map(|p| p.as_str().unwrap()).collect();
        assert_eq!(set.sentences(polarity, "bottle"), expected);
        let other: Vec<String> = expected.iter().map(|p| p.replace("bottle", "metal_nut")).collect();
        assert_eq!(set.sentences(polarity, "metal_nut"), other);
    }
}

#[test]
fn vectors_of_both_classes_match() {
    let golden = tensors("clipad_rvs");
    let visa = Representative::Dbscan { eps: 1.5, min_samples: 25 };
    for class in ["bottle", "metal_nut"] {
        for (i, polarity) in ["normal", "abnormal"].into_iter().enumerate() {
            let embeddings = rows(&golden[&format!("embeddings.{class}.{polarity}")]);
            for (key, method) in [
                ("mean", Representative::Mean),
                ("pca", Representative::Pca),
                ("pca_exact", Representative::Pca),
                ("kde", Representative::kde()),
                ("dbscan_other", Representative::dbscan()),
                ("dbscan_visa", visa),
                ("mean_shift", Representative::mean_shift()),
            ] {
                let name = format!("vec.{key}.{class}");
                let found = method.vector(embeddings.view()).unwrap();
                assert_vector(&format!("{name} {polarity}"), &found, &column(&golden[&name], i));
            }
            let expected = column(&golden[&format!("kde_logdensity.{class}.{polarity}")], 0);
            let density = kde_log_density(&embeddings.mapv(f64::from), 0.3).mapv(|v| v as f32);
            let largest = (&density - &expected).iter().fold(0.0f32, |m, d| m.max(d.abs()));
            println!("log density {class} {polarity}: {largest:.2e}");
            assert!(largest < 1e-4);
        }
    }
}

#[test]
fn vectors_of_a_cloud_with_structure_match() {
    let golden = tensors("clipad_rvs");
    let cloud = rows(&golden["cloud.rows"]);
    let mut checked = 0;
    for (name, expected) in &golden {
        let Some(key) = name.strip_prefix("cloud.vec.") else { continue };
        let number = |text: &str| text.parse::<f64>().unwrap();
        let method = if let Some(bandwidth) = key.strip_prefix("kde_bandwidth") {
            Representative::Kde { bandwidth: number(bandwidth) }
        } else if let Some(rest) = key.strip_prefix("dbscan_eps") {
            let (eps, samples) = rest.split_once("_min_samples").unwrap();
            Representative::Dbscan { eps: number(eps), min_samples: samples.parse().unwrap() }
        } else if let Some(bandwidth) = key.strip_prefix("mean_shift_bandwidth") {
            Representative::MeanShift { bandwidth: number(bandwidth), max_iterations: 300 }
        } else if key.starts_with("pca") {
            Representative::Pca
        } else {
            assert_eq!(key, "mean");
            Representative::Mean
        };
        let found = method.vector(cloud.view()).unwrap();
        assert_vector(name, &found, &column(expected, 0));
        checked += 1;
    }
    assert!(checked >= 15, "{checked}");
}
