//! CLIP-AD's staged dual-path model.

use std::cell::Cell;

use aaclip::clip::{Activation, Checkpoint, Compute};
use aaclip::map::{Alignment, Sigma, gaussian};
use aaclip::methods::sdp::{self, Fidelity};
use candle_core::{Device, Tensor};

use crate::support::{self, assert_close, golden_levels, golden_model, golden_settings, numbers, tensors};

#[test]
fn dual_path_features_match() {
    let (golden, data) = (tensors("clipad_sdp"), tensors("data"));
    let (aligned, unaligned) = (golden_levels(), numbers(&golden_settings()["unaligned"]));
    let checkpoint = Checkpoint::open(golden_model()).unwrap();
    let vision = checkpoint
        .vision(checkpoint.config().vision.image_size, Activation::Gelu, &Compute::default())
        .unwrap();
    let images = data["images"].narrow(0, 0, 6).unwrap();
    let compared = Cell::new(0);
    for (key, levels, fidelity) in [
        ("official", &aligned, Fidelity::Reference),
        ("noalias", &aligned, Fidelity::Clean),
        ("unaligned_official", &unaligned, Fidelity::Reference),
        ("unaligned_noalias", &unaligned, Fidelity::Clean),
    ] {
        let features = sdp::dual_path(&vision, &images, levels, fidelity).unwrap();
        assert_eq!(features.len(), levels.len());
        for (level, feature) in levels.iter().zip(&features) {
            assert_eq!(feature.level, *level);
            let check = |path: &str, found: &Tensor| {
                let name = format!("{key}.{path}.level{level}");
                // The golden file keeps the original path only for some cases and two images.
                if let Some(expected) = golden.get(&name) {
                    compared.set(compared.get() + 1);
                    let found = found.narrow(0, 0, expected.dim(0).unwrap()).unwrap();
                    assert_close(&name, &found, expected, 1e-5);
                }
            };
            check("surgery", feature.surgery.as_ref().unwrap());
            check("ori", &feature.original);
        }
    }
    assert_eq!(compared.get(), 6 * aligned.len());
}

#[test]
fn similarities_maps_and_scores_match() {
    let (golden, data) = (tensors("clipad_sdp"), tensors("data"));
    let (aligned, unaligned) = (golden_levels(), numbers(&golden_settings()["unaligned"]));
    let checkpoint = Checkpoint::open(golden_model()).unwrap();
    let size = checkpoint.config().vision.image_size;
    let vision = checkpoint.vision(size, Activation::Gelu, &Compute::default()).unwrap();
    for (key, levels, fidelity) in [
        ("official", &aligned, Fidelity::Reference),
        ("noalias", &aligned, Fidelity::Clean),
        ("unaligned_official", &unaligned, Fidelity::Reference),
        ("unaligned_noalias", &unaligned, Fidelity::Clean),
    ] {
        let features =
            sdp::dual_path(&vision, &data["images"].narrow(0, 0, 6).unwrap(), levels, fidelity).unwrap();
        let found = sdp::similarity(&features, &golden["text.bottle"]).unwrap();
        assert_close(
            &format!("{key}.similarity"),
            &found.tokens,
            &golden[&format!("{key}.similarity")],
            1e-4,
        );
        let probability = &found.text_probability;
        assert_close(&format!("{key}.text_probs"), probability, &golden[&format!("{key}.text_probs")], 1e-4);
        let map = smoothed(&found, size, 0.0);
        assert_close(&format!("{key}.map"), &map, &golden[&format!("{key}.map")], 1e-4);
        let alone: Vec<_> = features
            .iter()
            .map(|f| sdp::similarity(std::slice::from_ref(f), &golden["text.bottle"]).unwrap())
            .collect();
        for (level, one) in levels.iter().zip(alone) {
            if let Some(expected) = golden.get(&format!("{key}.similarity.level{level}")) {
                assert_close(&format!("{key}.similarity.level{level}"), &one.tokens, expected, 1e-4);
            }
        }
    }
    // All twelve pictures, each class with its own anchors, smoothed as the reference's test script does.
    for sigma in [8.0, 2.0] {
        let halves = [("bottle", 0), ("metal_nut", 6)].map(|(class, first)| {
            let images = data["images"].narrow(0, first, 6).unwrap();
            let features = sdp::dual_path(&vision, &images, &aligned, Fidelity::Reference).unwrap();
            let found = sdp::similarity(&features, &golden[&format!("text.{class}")]).unwrap();
            (smoothed(&found, size, sigma), found.text_probability)
        });
        let name = |part: &str| format!("test_py.sigma{sigma}.{part}");
        let [(one, p1), (two, p2)] = &halves;
        let maps = Tensor::cat(&[one, two], 0).unwrap();
        assert_close(&name("pr_px"), &maps, &golden[&name("pr_px")], 1e-4);
        let text = Tensor::cat(&[p1, p2], 0).unwrap();
        assert_close(&name("pr_sp0"), &text, &golden[&name("pr_sp0")], 1e-4);
        let highest = maps.flatten_from(1).unwrap().max(1).unwrap();
        assert_close(&name("pr_sp1"), &highest, &golden[&name("pr_sp1")], 1e-4);
    }
}

/// Maps of a batch, one picture after another as a detector sees them.
fn smoothed(found: &sdp::Similarity, size: usize, sigma: f64) -> Tensor {
    let count = found.tokens.dim(0).unwrap();
    let maps = (0..count).map(|i| {
        let one = sdp::Similarity { tokens: found.tokens.narrow(0, i, 1).unwrap(), ..found.clone() };
        let map = gaussian(
            support::upsampled(&one.patches().unwrap(), size, Alignment::HalfPixel).view(),
            Sigma::new(sigma).unwrap(),
        );
        Tensor::from_vec(map.into_raw_vec_and_offset().0, (size, size), &Device::Cpu).unwrap()
    });
    Tensor::stack(&maps.collect::<Vec<_>>(), 0).unwrap()
}
