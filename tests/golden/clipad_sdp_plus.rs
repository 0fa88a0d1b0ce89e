//! CLIP-AD's SDP+ at inference.

use aaclip::clip::{Activation, Checkpoint, Compute};
use aaclip::map::{Alignment, Curve, PatchGrid, Sigma, Smoothing, final_map, gaussian};
use aaclip::methods::Trained;
use aaclip::methods::sdp::{self, Fidelity};
use aaclip::methods::sdp_plus::{self, LinearLayers};
use candle_core::{D, Device, Tensor};
use ndarray::Array2;

use crate::support::{self, assert_close, golden, golden_levels, golden_model, tensors};

fn tensor_of(map: Array2<f32>) -> Tensor {
    let shape = map.dim();
    Tensor::from_vec(map.into_raw_vec_and_offset().0, shape, &Device::Cpu).unwrap()
}

/// A level's logits `[1, L]`, as the method gives them.
fn grid(logits: &Tensor) -> PatchGrid {
    let row: Vec<f32> = logits.flatten_all().unwrap().to_vec1().unwrap();
    let side = row.len().isqrt();
    let values = Array2::from_shape_vec((side, side), row).unwrap();
    PatchGrid { values, alignment: Alignment::Corners, curve: Curve::Sigmoid }
}

#[test]
fn logits_maps_and_scores_match() {
    let (expected, sdp_golden) = (tensors("clipad_sdp_plus"), tensors("clipad_sdp"));
    let (data, golden) = (tensors("data"), golden());
    let checkpoint = Checkpoint::open(golden_model()).unwrap();
    let (config, device) = (checkpoint.config(), Device::Cpu);
    let file = Trained::read(&golden.join("weights/clipad_linear.safetensors"), None).unwrap();
    assert_eq!(file.method(), &sdp_plus::METHOD);
    let layers = LinearLayers::read(&file, config, &device).unwrap();
    let size = config.vision.image_size;
    let levels = golden_levels();
    let vision = checkpoint.vision(size, Activation::Gelu, &Compute::default()).unwrap();

    let mut finals: Vec<(Tensor, Tensor)> = Vec::new();
    for (class, first) in [("bottle", 0), ("metal_nut", 6)] {
        let anchors = &sdp_golden[&format!("text.{class}")];
        let images = data["images"].narrow(0, first, 6).unwrap();
        let features = sdp::dual_path(&vision, &images, &levels, Fidelity::Reference).unwrap();
        let logits = sdp_plus::logits(&features, &layers, anchors).unwrap();
        let similarity = sdp::similarity(&features, anchors).unwrap();
        let mut trained = Vec::new();
        let mut before = Vec::new();
        for i in 0..6 {
            let one: Vec<PatchGrid> = logits.iter().map(|l| grid(&l.narrow(0, i, 1).unwrap())).collect();
            let map = final_map(&one, (size, size), Smoothing::None);
            let alone =
                sdp::Similarity { tokens: similarity.tokens.narrow(0, i, 1).unwrap(), ..similarity.clone() };
            before.push(support::upsampled(&alone.patches().unwrap(), size, Alignment::HalfPixel) + &map);
            trained.push(tensor_of(map));
        }
        if class == "bottle" {
            for (level, logits) in levels.iter().zip(&logits) {
                let name = format!("infer.logits.level{level}");
                let pair = &expected[&name];
                let difference =
                    (pair.narrow(D::Minus1, 1, 1).unwrap() - pair.narrow(D::Minus1, 0, 1).unwrap()).unwrap();
                assert_close(&name, logits, &difference.squeeze(D::Minus1).unwrap(), 1e-4);
            }
            let stacked = Tensor::stack(&trained, 0).unwrap();
            assert_close("infer.anomaly_map_ft", &stacked, &expected["infer.anomaly_map_ft"], 1e-4);
            let sums: Vec<Tensor> = before.iter().map(|m| tensor_of(m.clone())).collect();
            let sums = Tensor::stack(&sums, 0).unwrap();
            assert_close("infer.map_before_filter", &sums, &expected["infer.map_before_filter"], 1e-4);
        }
        for (k, sigma) in [8.0, 2.0].into_iter().enumerate() {
            let sigma = Sigma::new(sigma).unwrap();
            let maps: Vec<Tensor> = before.iter().map(|m| tensor_of(gaussian(m.view(), sigma))).collect();
            let maps = Tensor::stack(&maps, 0).unwrap();
            if first == 0 {
                finals.push((maps, similarity.text_probability.clone()));
            } else {
                finals[k] = (
                    Tensor::cat(&[&finals[k].0, &maps], 0).unwrap(),
                    Tensor::cat(&[&finals[k].1, &similarity.text_probability], 0).unwrap(),
                );
            }
        }
    }
    for (sigma, (maps, text)) in [8, 2].into_iter().zip(&finals) {
        let name = |part: &str| format!("test_ft_py.sigma{sigma}.{part}");
        assert_close(&name("pr_px"), maps, &expected[&name("pr_px")], 1e-4);
        assert_close(&name("pr_sp0"), text, &expected[&name("pr_sp0")], 1e-4);
        let highest = maps.flatten_from(1).unwrap().max(1).unwrap();
        assert_close(&name("pr_sp1"), &highest, &expected[&name("pr_sp1")], 1e-4);
    }
}
