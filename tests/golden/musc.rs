//! MuSc: the official code on folders of a few pictures.

use std::collections::HashMap;

use aaclip::image::{DecodeOptions, decode};
use aaclip::map::{Alignment, bilinear};
use aaclip::methods::musc::{NEAREST, Patches, interval_mean, nearest_patches, neighbourhoods, rescored};
use aaclip::{Detector, References};
use candle_core::{Device, Tensor};
use serde_json::Value;

use crate::support::{self, golden_model, tensors};

struct Golden {
    case: Value,
    expected: HashMap<String, Tensor>,
}

impl Golden {
    fn new() -> Self {
        Self { case: support::case("musc"), expected: tensors("musc") }
    }

    /// Asserts that values are the stored ones, as many as are stored: within ten times the stored difference between
    /// 32-bit and 64-bit floats, but no less than `least`.
    #[track_caller]
    fn check(&self, name: &str, found: &[f32], least: f32) {
        let Some(expected) = self.expected.get(name) else { return };
        let expected: Vec<f32> = expected.flatten_all().unwrap().to_vec1().unwrap();
        let stored = self.case["tensors"][name]["f32_vs_f64_maxabs"].as_f64().unwrap_or(0.0) as f32;
        let allowed = (10.0 * stored).max(least);
        assert!(found.len() >= expected.len(), "{name}");
        let largest = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{name:40} largest difference {largest:.2e}, allowed {allowed:.2e}");
        assert!(largest <= allowed, "{name}: {largest:.3e}, allowed {allowed:.0e}");
    }
}

fn numbers(value: &Value) -> String {
    support::numbers(value).iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

/// The file in the mini data set of a picture of a run; the classes of some runs are made of two others.
fn file(name: &str) -> std::path::PathBuf {
    let (class, rest) = name.split_once('/').unwrap();
    let relative = if class == "both" {
        let last = rest.rsplit('/').next().unwrap();
        let of = if last.starts_with("metal_nut") { "metal_nut" } else { "bottle" };
        let own = &last[of.len() + 1..];
        if rest.starts_with("Data") {
            let (kind, file) = own.rsplit_once('_').unwrap();
            format!("{of}/test/{kind}/{file}")
        } else {
            format!("{of}/{}/{own}", rest.rsplit_once('/').unwrap().0)
        }
    } else {
        name.to_owned()
    };
    support::golden().join("data/mvtec_mini").join(relative)
}

fn floats(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&v| v as f32).collect()
}

/// Every run: values of patches, maps and scores of pictures.
#[test]
fn all_runs_match() {
    let golden = Golden::new();
    for (name, run) in golden.case["runs"].as_object().unwrap() {
        if run["divide_num"] != 1 {
            continue;
        }
        let files: Vec<_> =
            run["pictures"].as_array().unwrap().iter().map(|f| file(f.as_str().unwrap())).collect();
        let activation = match run["activation"].as_str().unwrap() {
            "GELU" => aaclip::clip::Activation::Gelu,
            _ => aaclip::clip::Activation::QuickGelu,
        };
        let size = run["image_size"].as_u64().unwrap() as usize;
        let detector = Detector::builder(golden_model().to_str().unwrap())
            .method("musc")
            .image_size(Some(size))
            .activation(Some(activation))
            .option("degrees", numbers(&run["r_list"]))
            .option("rescoring", numbers(&run["k_score"]))
            .references(References::files(files.clone(), DecodeOptions::default()))
            .build()
            .unwrap();
        let (mut grids, mut maps, mut maxima, mut scores) = (vec![], vec![], vec![], vec![]);
        for file in &files {
            let found = detector.detect(&decode(file, &DecodeOptions::default()).unwrap()).unwrap();
            maxima.push(found.components.map_max);
            scores.push(found.components.image.unwrap());
            maps.extend(found.map.iter().copied());
            let input = detector.preprocess().run(&decode(file, &DecodeOptions::default()).unwrap()).unwrap();
            let shape = input.tensor.dim();
            let input = Tensor::from_vec(input.tensor.into_raw_vec_and_offset().0, shape, &Device::Cpu);
            let evidence = detector.class().look(&input.unwrap().unsqueeze(0).unwrap()).unwrap();
            grids.extend(evidence.grids[0].values.iter().copied());
        }
        golden.check(&format!("{name}.grid"), &grids, 3e-6);
        golden.check(&format!("{name}.map"), &maps, 3e-6);
        golden.check(&format!("{name}.map_max"), &maxima, 3e-6);
        golden.check(&format!("{name}.image_score"), &scores, 2e-4);
    }
}

struct Stored(Vec<Vec<f32>>, usize);

impl Patches for Stored {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn width(&self) -> usize {
        self.1
    }

    fn of(&self, picture: usize) -> aaclip::Result<Vec<f32>> {
        Ok(self.0[picture].clone())
    }
}

/// The official division into subsets: pictures score each other inside a subset only, and are rescored together.
#[test]
fn each_stage_matches() {
    let golden = Golden::new();
    let checkpoint = aaclip::clip::Checkpoint::open(golden_model()).unwrap();
    let levels = support::numbers(&golden.case["levels"]);
    for (name, run) in golden.case["runs"].as_object().unwrap() {
        let size = run["image_size"].as_u64().unwrap() as usize;
        let (activation, subsets) = (run["activation"] == "GELU", support::numbers(&run["subset_sizes"]));
        if !activation || size != checkpoint.config().vision.image_size {
            continue;
        }
        let tower = checkpoint
            .vision(size, aaclip::clip::Activation::Gelu, &aaclip::clip::Compute::default())
            .unwrap();
        let preprocess = super::preprocess::preprocess(size, aaclip::image::Chain::RgbThenResize);
        let (mut features, mut tokens) = (Vec::new(), Vec::new());
        for picture in run["pictures"].as_array().unwrap() {
            let picture = decode(&file(picture.as_str().unwrap()), &DecodeOptions::default()).unwrap();
            let input = preprocess.run(&picture).unwrap().tensor;
            let shape = input.dim();
            let input = Tensor::from_vec(input.into_raw_vec_and_offset().0, shape, &Device::Cpu).unwrap();
            let (feature, levels) = tower.forward(&input.unsqueeze(0).unwrap(), &levels).unwrap();
            let feature: Vec<f32> = feature.flatten_all().unwrap().to_vec1().unwrap();
            let length = feature.iter().map(|v| v * v).sum::<f32>().sqrt();
            features.push(feature.iter().map(|v| v / length).collect::<Vec<f32>>());
            tokens.push(levels);
        }
        golden.check(&format!("{name}.class_tokens"), &features.concat(), 2e-6);
        let similarity: Vec<f32> = features
            .iter()
            .flat_map(|a| features.iter().map(|b| a.iter().zip(b).map(|(a, b)| a * b).sum()))
            .collect();
        golden.check(&format!("{name}.similarity"), &similarity, 2e-6);

        let grid = run["grid"].as_u64().unwrap() as usize;
        let degrees = support::numbers(&run["r_list"]);
        let mut maxima = Vec::new();
        for subset in tokens.chunks(subsets[0]) {
            let mut sums = vec![vec![0.0; grid * grid]; subset.len()];
            for &degree in &degrees {
                for (at, level) in levels.iter().enumerate() {
                    let flat = |tokens: &Vec<Tensor>| -> Vec<f32> {
                        tokens[at]
                            .narrow(1, 1, grid * grid)
                            .unwrap()
                            .flatten_all()
                            .unwrap()
                            .to_vec1()
                            .unwrap()
                    };
                    let near: Vec<Vec<f32>> =
                        subset.iter().map(|t| neighbourhoods(&flat(t), (grid, grid), degree)).collect();
                    let width = near[0].len() / (grid * grid);
                    let key = format!("r{degree}.level{level}");
                    golden.check(&format!("{name}.lnamd.{key}"), &near[..2].concat(), 2e-6);
                    let distances = nearest_patches(&Stored(near, width), &|| ()).unwrap();
                    golden.check(&format!("{name}.min_dist.{key}"), &distances.concat(), 1e-5);
                    let means: Vec<Vec<f64>> =
                        distances.iter().map(|d| interval_mean(d, subset.len() - 1, &NEAREST)).collect();
                    golden.check(&format!("{name}.msm.{key}"), &floats(&means.concat()), 1e-5);
                    let share = 1.0 / (levels.len() * degrees.len()) as f64;
                    for (sum, means) in sums.iter_mut().zip(means) {
                        sum.iter_mut().zip(means).for_each(|(sum, mean)| *sum += mean * share);
                    }
                }
            }
            for sum in sums {
                let values = ndarray::Array2::from_shape_vec((grid, grid), floats(&sum)).unwrap();
                let map = bilinear(values.view(), (size, size), Alignment::Corners);
                maxima.push(f64::from(map.iter().copied().fold(f32::MIN, f32::max)));
            }
        }
        golden.check(&format!("{name}.map_max"), &floats(&maxima), 3e-6);
        let scores = rescored(&maxima, &features, &support::numbers(&run["k_score"]));
        golden.check(&format!("{name}.image_score"), &floats(&scores), 2e-4);
    }
}

#[test]
fn rescoring_and_intervals_match() {
    let golden = Golden::new();
    let rows = |name: &str| golden.expected[name].to_vec2::<f32>().unwrap();
    let scores: Vec<f64> =
        golden.expected["rscin.scores_in"].to_vec1::<f32>().unwrap().into_iter().map(f64::from).collect();
    let mut checked = 0;
    for name in golden.expected.keys() {
        let Some(list) = name.strip_prefix("rscin.pipeline.k").filter(|list| *list != "0") else { continue };
        let neighbours: Vec<usize> = list.split('_').map(|k| k.parse().unwrap()).collect();
        golden.check(name, &floats(&rescored(&scores, &rows("rscin.class_tokens"), &neighbours)), 1e-6);
        checked += 1;
    }
    let negative = rescored(&scores, &rows("rscin.negative.class_tokens"), &[1, 8, 9]);
    golden.check("rscin.negative.k1_8_9", &floats(&negative), 2e-4);
    // These vectors do not have unit length, so their distances are computed here.
    let pictures = golden.expected["interval.Z"].to_vec3::<f32>().unwrap();
    let others = pictures.len() - 1;
    let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
    let nearest =
        |a: &[f32], other: &[Vec<f32>]| other.iter().map(|b| distance(a, b)).fold(f32::MAX, f32::min);
    let of = |i: usize| -> Vec<f32> {
        let others = || pictures.iter().enumerate().filter(move |(j, _)| *j != i);
        pictures[i].iter().flat_map(|a| others().map(|(_, other)| nearest(a, other))).collect()
    };
    let distances: Vec<Vec<f32>> = (0..pictures.len()).map(of).collect();
    for name in golden.expected.keys() {
        let Some(ends) = name.strip_prefix("interval.msm.") else { continue };
        let (low, high) = ends.split_once('_').unwrap();
        let interval = low.parse().unwrap()..high.parse().unwrap();
        let found: Vec<f64> = distances.iter().flat_map(|d| interval_mean(d, others, &interval)).collect();
        golden.check(name, &floats(&found), 2e-6);
        checked += 1;
    }
    assert_eq!(checked, 6 + 4);
}
