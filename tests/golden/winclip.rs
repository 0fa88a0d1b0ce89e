//! WinCLIP: anomalib's numbers with attention among the tokens of a window.

use std::collections::HashMap;
use std::sync::Arc;

use aaclip::anchors::{
    AnchorCache, AnchorRequest, Anchors, ClassName, PlainText, Polarity, PromptSet, text_anchors,
};
use aaclip::clip::{Activation, Checkpoint, Compute, SpecialTokens, VisionTower};
use aaclip::map::final_map;
use aaclip::methods::winclip::{ANCHORS, Features, METHOD, Memory, Windows, nearest, probabilities};
use aaclip::methods::{ClassModel, Model, Setup, Trust};
use aaclip::progress::Progress;
use candle_core::{Device, Tensor};
use ndarray::Array2;
use serde_json::Value;

use crate::support::{self, golden_model, tensors};

/// The golden case, its pictures and its model.
struct Golden {
    case: Value,
    expected: HashMap<String, Tensor>,
    images: Tensor,
    checkpoint: Arc<Checkpoint>,
    tower: VisionTower,
}

/// The classes, each with six pictures.
const CLASSES: [(&str, usize); 2] = [("bottle", 0), ("metal_nut", 6)];

impl Golden {
    fn new() -> Self {
        let checkpoint = Arc::new(Checkpoint::open(golden_model()).unwrap());
        let size = checkpoint.config().vision.image_size;
        Self {
            case: support::case("winclip"),
            expected: tensors("winclip"),
            images: tensors("data")["images"].clone(),
            tower: checkpoint.vision(size, Activation::Gelu, &Compute::default()).unwrap(),
            checkpoint,
        }
    }

    /// Asserts that values are the stored ones: within ten times the stored difference between 32-bit and 64-bit floats
    /// (1e-6 to 4e-5), but no less than 1e-6.
    #[track_caller]
    fn check(&self, name: &str, found: &Tensor) {
        let stored = self.case["tensors"][name]["f32_vs_f64_maxabs"].as_f64().unwrap() as f32;
        self.within(name, found, (10.0 * stored).max(1e-6));
    }

    /// Asserts that values are the stored ones, within `allowed`.
    #[track_caller]
    fn within(&self, name: &str, found: &Tensor, allowed: f32) {
        let expected = &self.expected[name];
        let found = found.narrow(0, 0, expected.dim(0).unwrap()).unwrap();
        let (largest, _) = support::difference(&found, expected);
        println!("{name:40} largest difference {largest:.2e}, allowed {allowed:.2e}");
        assert!(largest <= allowed, "{name}: {largest:.3e}, allowed {allowed:.0e}");
    }

    fn picture(&self, index: usize) -> Tensor {
        self.images.narrow(0, index, 1).unwrap()
    }

    fn windows(&self, scales: &[usize]) -> Vec<Windows> {
        let grid = (self.tower.grid(), self.tower.grid());
        scales.iter().map(|&scale| Windows::new(scale, grid).unwrap()).collect()
    }

    fn features(&self, index: usize, windows: &[Windows]) -> Features {
        Features::of(&self.tower, &self.picture(index), windows).unwrap()
    }

    /// The method as a detector loads it.
    fn model(&self, options: &[(&str, &str)]) -> Arc<dyn Model> {
        let mut setup = Setup::new(&METHOD, Arc::clone(&self.checkpoint));
        options.iter().for_each(|(name, value)| setup.options.set_by_name(name, value).unwrap());
        (METHOD.load)(&setup).unwrap()
    }

    fn class(&self, options: &[(&str, &str)], name: &str) -> Arc<dyn ClassModel> {
        let class = ClassName { text: name.to_owned(), domain: None };
        self.model(options).class(&class).unwrap()
    }

    fn anchors(&self, class: &str) -> Anchors {
        let request = AnchorRequest {
            prompts: &PromptSet::load("winclip").unwrap(),
            class,
            representative: ANCHORS,
            activation: Activation::Gelu,
            encoder: &PlainText,
            special: SpecialTokens::ClipAd,
            progress: Progress::Silent,
        };
        text_anchors(&self.checkpoint, &request, &AnchorCache::disabled(), &Device::Cpu).unwrap()
    }
}

fn grid(values: &Array2<f32>) -> Tensor {
    let flat: Vec<f32> = values.iter().copied().collect();
    Tensor::from_vec(flat, values.dim(), &Device::Cpu).unwrap()
}

/// Rows of unit length.
fn unit(rows: &Tensor) -> Tensor {
    let length = rows.sqr().unwrap().sum_keepdim(1).unwrap().sqrt().unwrap();
    rows.broadcast_div(&length).unwrap()
}

fn stack(tensors: Vec<Tensor>) -> Tensor {
    Tensor::stack(&tensors, 0).unwrap()
}

/// What a class model finds in pictures: image scores, maps of patches and maps of pixels.
fn found(model: &dyn ClassModel, pictures: &[Tensor]) -> [Tensor; 3] {
    let (mut scores, mut maps, mut pixels) = (Vec::new(), Vec::new(), Vec::new());
    for picture in pictures {
        let evidence = model.look(picture).unwrap();
        scores.push(evidence.image.unwrap());
        maps.push(grid(&evidence.grids[0].values));
        let size = picture.dim(2).unwrap();
        pixels.push(grid(&final_map(&evidence.grids, (size, size), model.smoothing())));
    }
    let scores = Tensor::new(scores, &Device::Cpu).unwrap();
    [scores, stack(maps), stack(pixels)]
}

#[test]
fn prompts_and_anchors_match() {
    let golden = Golden::new();
    let set = PromptSet::load("winclip").unwrap();
    for (polarity, key) in [(Polarity::Normal, "normal"), (Polarity::Abnormal, "anomalous")] {
        let expected: Vec<&str> = golden.case["prompts"]["bottle"][key]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_str().unwrap())
            .collect();
        assert_eq!(set.sentences(polarity, "bottle"), expected);
    }
    for (class, _) in CLASSES {
        let anchors = golden.anchors(class);
        let expected = golden.expected[&format!("text.{class}")].to_vec2::<f32>().unwrap();
        for (found, raw) in [&anchors.normal, &anchors.abnormal].into_iter().zip(expected) {
            // Only the direction is kept: the stored mean is not normalised.
            let length = raw.iter().map(|v| v * v).sum::<f32>().sqrt();
            for (a, b) in found.iter().zip(raw) {
                assert!((a - b / length).abs() < 1e-6, "{class}: {a} {}", b / length);
            }
        }
    }
}

#[test]
fn embeddings_match() {
    let golden = Golden::new();
    let windows = golden.windows(&[2, 3]);
    let features: Vec<Features> = (0..12).map(|i| golden.features(i, &windows)).collect();
    let all = |part: fn(&Features) -> Tensor| stack(features.iter().map(part).collect());
    golden.check("image_embeddings", &all(|f| f.image.get(0).unwrap()));
    golden.check("patch_embeddings", &all(|f| f.patches.clone()));
    golden.check("window_embeddings.scale2", &all(|f| f.windows[0].clone()));
    golden.check("window_embeddings.scale3", &all(|f| f.windows[1].clone()));

    let windows = golden.windows(&[1, 4, 5]);
    let features: Vec<Features> = (0..2).map(|i| golden.features(i, &windows)).collect();
    for (i, scale) in [1, 4, 5].into_iter().enumerate() {
        let found = stack(features.iter().map(|f| f.windows[i].clone()).collect());
        golden.check(&format!("scales145.window_embeddings.scale{scale}"), &found);
    }
}

/// Attention over windows instead of over the tokens of a window, which is what anomalib's code does with an open_clip
/// from 2.26.1 on, gives every window of every picture one and the same embedding.
#[test]
fn windows_differ_from_each_other_and_between_pictures() {
    let golden = Golden::new();
    let windows = golden.windows(&[2, 3]);
    let features: Vec<Features> = (0..2).map(|i| golden.features(i, &windows)).collect();
    for scale in 0..2 {
        let rows: Vec<Vec<f32>> =
            features.iter().flat_map(|f| f.windows[scale].to_vec2::<f32>().unwrap()).collect();
        for (i, one) in rows.iter().enumerate() {
            for other in &rows[..i] {
                let largest = one.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(largest > 0.1, "scale {scale}, window {i}: {largest}");
            }
        }
    }
}

#[test]
fn scores_and_maps_match() {
    let golden = Golden::new();
    let windows = golden.windows(&[2, 3]);
    for (class, first) in CLASSES {
        let anchors = golden.anchors(class).columns(&Device::Cpu).unwrap();
        let name = |part: &str| format!("zero.{class}.{part}");
        for (i, scale) in [2, 3].into_iter().enumerate() {
            let (mut scores, mut maps) = (Vec::new(), Vec::new());
            for index in first..first + 6 {
                let features = golden.features(index, &windows);
                let found = probabilities(&features.windows[i], &anchors).unwrap();
                maps.push(grid(&windows[i].spread(&found)));
                scores.push(Tensor::new(found, &Device::Cpu).unwrap());
            }
            golden.check(&name(&format!("window_scores.scale{scale}")), &stack(scores));
            golden.check(&name(&format!("scale_map.scale{scale}")), &stack(maps));
        }
        let pictures: Vec<Tensor> = (first..first + 6).map(|i| golden.picture(i)).collect();
        let [scores, maps, pixels] = found(&*golden.class(&[], class), &pictures);
        golden.check(&name("image_score"), &scores);
        golden.check(&name("map"), &maps);
        golden.check(&name("pixel_map"), &pixels);
    }
    let pictures = [golden.picture(0), golden.picture(1)];
    let [_, maps, pixels] = found(&*golden.class(&[("scales", "1,4,5")], "bottle"), &pictures);
    golden.check("scales145.map", &maps);
    golden.check("scales145.pixel_map", &pixels);
}

#[test]
fn references_match() {
    let golden = Golden::new();
    let windows = golden.windows(&[2, 3]);
    for (class, first) in CLASSES {
        for k in [1, 2] {
            let name = |part: &str| format!("few{k}.{class}.{part}");
            let good: Vec<Features> = (first..first + k).map(|i| golden.features(i, &windows)).collect();
            let distances = |part: fn(&Features) -> &Tensor| {
                let known: Vec<Tensor> = good.iter().map(|f| unit(part(f))).collect();
                let of = |index| {
                    let seen = unit(part(&golden.features(index, &windows)));
                    nearest(&seen, known.iter()).unwrap()
                };
                (first + 2..first + 6).map(of).collect::<Vec<Vec<f32>>>()
            };
            let tensor = |rows: &[Vec<f32>]| Tensor::new(rows.to_vec(), &Device::Cpu).unwrap();
            let side = golden.tower.grid();
            let patches = tensor(&distances(|f| &f.patches)).reshape((4, side, side)).unwrap();
            golden.check(&name("patch_association"), &patches);
            let scales: [fn(&Features) -> &Tensor; 2] = [|f| &f.windows[0], |f| &f.windows[1]];
            for (i, part) in scales.into_iter().enumerate() {
                let (rows, scale) = (distances(part), i + 2);
                golden.check(&name(&format!("window_association.scale{scale}")), &tensor(&rows));
                let maps = rows.iter().map(|row| grid(&windows[i].spread(row))).collect();
                golden.check(&name(&format!("association_map.scale{scale}")), &stack(maps));
            }

            let memory = Memory::new(&good).unwrap();
            let seen = |index| memory.association(&golden.features(index, &windows), &windows).unwrap();
            let maps = (first + 2..first + 6).map(|i| grid(&seen(i))).collect();
            golden.check(&name("few_shot_map"), &stack(maps));

            let references: Vec<Tensor> = (first..first + k).map(|i| golden.picture(i)).collect();
            let model = golden
                .class(&[], class)
                .with_references(&mut references.into_iter().map(Ok), Trust::Good)
                .unwrap();
            let pictures: Vec<Tensor> = (first + 2..first + 6).map(|i| golden.picture(i)).collect();
            let [scores, maps, pixels] = found(&*model, &pictures);
            golden.check(&name("image_score"), &scores);
            golden.check(&name("map"), &maps);
            golden.check(&name("pixel_map"), &pixels);
        }
    }
}

/// Distances of a picture to itself are rounding of either sign, whose harmonic mean means nothing: they are 0 here.
#[test]
fn a_picture_that_is_its_own_reference_is_at_no_distance() {
    let golden = Golden::new();
    let windows = golden.windows(&[2, 3]);
    let features = golden.features(0, &windows);
    let memory = Memory::new(std::slice::from_ref(&features)).unwrap();
    let map = memory.association(&features, &windows).unwrap();
    assert!(map.iter().all(|d| (0.0..1e-6).contains(d)), "{map}");
    golden.within("quirk.self_reference.few_shot_map", &stack(vec![grid(&map)]), 1e-6);
    let model = golden
        .class(&[], "bottle")
        .with_references(&mut std::iter::once(Ok(golden.picture(0))), Trust::Good)
        .unwrap();
    let [scores, ..] = found(&*model, &[golden.picture(0)]);
    golden.within("quirk.self_reference.image_score", &scores, 1e-6);
}

#[test]
fn windows_larger_than_the_grid_are_refused() {
    let golden = Golden::new();
    let mut setup = Setup::new(&METHOD, Arc::clone(&golden.checkpoint));
    setup.options.set_by_name("scales", "2,6").unwrap();
    let refused = (METHOD.load)(&setup).err().unwrap().to_string();
    assert!(refused.contains("6 x 6") && refused.contains("grid of 5 x 5"), "{refused}");
    assert!(setup.options.set_by_name("scales", "0").is_err());
}
