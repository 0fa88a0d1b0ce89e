//! AA-CLIP's inference: adapted anchors, patch features, maps and image predictions.

use std::cell::Cell;

use aaclip::DetectorSettings;
use aaclip::adapters::{AaClipOptions, AdapterFile, AdapterFit, Method};
use aaclip::anchors::{AnchorCache, AnchorRequest, Anchors, Domain, PromptSet, Representative, text_anchors};
use aaclip::clip::{Activation, Checkpoint, Compute, FeatureRequest, SpecialTokens, TapFidelity, Wanted};
use aaclip::map::blur;
use aaclip::methods::aa_clip::{self, Blur};
use candle_core::{Device, Tensor};
use ndarray::Array2;

use crate::support::{assert_close, golden, golden_levels, golden_model, golden_settings, tensors};

fn columns(anchors: &Anchors) -> Tensor {
    let values = anchors.normal.iter().zip(&anchors.abnormal).flat_map(|(&n, &a)| [n, a]);
    Tensor::from_iter(values, &Device::Cpu).unwrap().reshape((anchors.normal.len(), 2)).unwrap()
}

fn grid_of(row: &Tensor) -> Array2<f32> {
    let values: Vec<f32> = row.flatten_all().unwrap().to_vec1().unwrap();
    let side = values.len().isqrt();
    Array2::from_shape_vec((side, side), values).unwrap()
}

fn tensor_of(map: Array2<f32>) -> Tensor {
    let shape = map.dim();
    Tensor::from_vec(map.into_raw_vec_and_offset().0, shape, &Device::Cpu).unwrap()
}

#[test]
fn anchors_features_maps_and_predictions_match() {
    let (expected, data, golden) = (tensors("aaclip_infer"), tensors("data"), golden());
    let checkpoint = Checkpoint::open(golden_model()).unwrap();
    let (config, device) = (checkpoint.config(), Device::Cpu);
    let file = AdapterFile::read(&golden.join("weights/aaclip_adapters.safetensors")).unwrap();
    assert_eq!((file.method(), file.relu()), (Method::AaClip, false));
    let fit = AdapterFit::new(&file, config, &device);
    let prompts = PromptSet::load("aa-clip").unwrap();
    let size = config.vision.image_size;
    let levels = golden_levels();
    let vision = checkpoint.vision(size, Activation::Gelu, &Compute::default()).unwrap();
    let compared = Cell::new(0);

    for (class, name, domain, first) in [
        ("bottle", "mvtec:bottle", Domain::Industrial, 0),
        ("metal_nut", "mvtec:metal_nut", Domain::Industrial, 6),
        ("Brain", "Brain:Brain", Domain::Medical, 0),
    ] {
        let text = prompts.describe(name, None).unwrap();
        assert_eq!(text.domain, Some(domain));
        let anchors = |adapted: bool| {
            let request = AnchorRequest {
                adapter: if adapted { fit.text(&AaClipOptions::default()).unwrap() } else { None },
                special: SpecialTokens::AaClip,
                activation: Some(Activation::Gelu),
                ..AnchorRequest::new(prompts.clone(), &text.text, Representative::Mean)
            };
            columns(&text_anchors(&checkpoint, &request, &AnchorCache::disabled(), &device).unwrap())
        };
        let adapted = anchors(true);
        assert_close(class, &adapted, &expected[&format!("text_anchor.{class}")], 1e-5);
        assert_close(class, &anchors(false), &expected[&format!("text_anchor_unadapted.{class}")], 1e-5);

        for relu in [false, true] {
            let options = AaClipOptions { relu: Some(relu), ..AaClipOptions::default() };
            let adapter = fit.image(&options, Method::AaClip).unwrap();
            let images = data["images"].narrow(0, first, 6).unwrap();
            let fidelity = TapFidelity::Clean;
            let request = FeatureRequest {
                levels: &levels,
                surgery: false,
                fidelity,
                adapter: Some(&adapter),
                original: Wanted::All,
            };
            let features = vision.features(&images, request).unwrap();
            let projected = aa_clip::project(&vision, &features, &adapter).unwrap();
            let tag = if relu { "relu" } else { "norelu" };
            let kind = if domain == Domain::Medical { "medical" } else { "industrial" };
            let check = |name: String, found: &Tensor| {
                if let Some(value) = expected.get(&name) {
                    compared.set(compared.get() + 1);
                    let found = found.narrow(0, 0, value.dim(0).unwrap()).unwrap();
                    assert_close(&name, &found, value, 1e-4);
                }
            };
            check(format!("{tag}.{class}.det_token"), &projected.image);
            let prediction = aa_clip::image_prediction(&projected.image, &adapted).unwrap();
            check(format!("{tag}.{class}.{kind}.image_pred"), &prediction);
            let mut grids = Vec::new();
            for (level, patches) in levels.iter().zip(&projected.patches) {
                check(format!("{tag}.{class}.seg_tokens.level{level}"), patches);
                let grid = aa_clip::level_map(patches, &adapted).unwrap();
                let smoothing = Blur::of(domain);
                let blurred: Vec<Tensor> = (0..6)
                    .map(|i| {
                        tensor_of(blur(
                            grid_of(&grid.get(i).unwrap()).view(),
                            smoothing.kernel,
                            smoothing.sigma,
                        ))
                    })
                    .collect();
                check(
                    format!("{tag}.{class}.{kind}.grid.level{level}"),
                    &Tensor::stack(&blurred, 0).unwrap(),
                );
                grids.push(grid);
            }
            let maps: Vec<Tensor> = (0..6)
                .map(|i| {
                    let one: Vec<Tensor> = grids.iter().map(|g| g.narrow(0, i, 1).unwrap()).collect();
                    tensor_of(aa_clip::final_map(&one, size, Blur::of(domain)).unwrap())
                })
                .collect();
            let name = format!("{tag}.{class}.{kind}.map_sum");
            assert_close(&name, &Tensor::stack(&maps, 0).unwrap(), &expected[&name], 1e-4);
        }
    }
    // Image tokens of two classes, predictions of three, patch tokens of one and grids of three; with and without ReLU.
    assert_eq!(compared.get(), 2 * (2 + 3 + (1 + 3) * levels.len()));
}

#[test]
fn official_checkpoints_are_the_adapters_they_say() {
    let (golden, settings, levels) = (golden(), golden_settings(), golden_levels().len());
    let adapted = |key: &str| settings[key].as_u64().unwrap() as usize;
    let folder = AdapterFile::read(&golden.join("aaclip_train/official_ckpt")).unwrap();
    assert_eq!(folder.method(), Method::AaClip);
    assert_eq!(
        folder.tensors().count(),
        adapted("text_adapt_until") + 1 + adapted("image_adapt_until") + levels + 1
    );
    assert!(folder.header().epochs.is_some());
    let named = AdapterFile::read(&golden.join("aaclip_train/official_ckpt/image_adapter.pth")).unwrap();
    assert_eq!(named, folder);
    let plus = AdapterFile::read(&golden.join("clipad_sdp_plus/official_ckpt")).unwrap();
    assert_eq!((plus.method(), plus.tensors().count()), (Method::SdpPlus, 2 * levels));
}

#[test]
fn aa_clip_looks_at_518_pixels_with_the_exact_gelu() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    let json = r#"{"embed_dim": 768, "quick_gelu": true,
        "vision_cfg": {"image_size": 336, "layers": 24, "width": 1024, "patch_size": 14},
        "text_cfg": {"width": 768, "heads": 12}}"#;
    std::fs::write(&path, json).unwrap();
    let config = aaclip::clip::ClipConfig::from_file(&path).unwrap();
    let settings = DetectorSettings::default();
    assert_eq!(settings.image_size(&config, Method::AaClip), 518);
    assert_eq!(settings.image_size(&config, Method::Sdp), 336);
    assert_eq!(settings.activation(&config, Method::AaSdp), Activation::Gelu);
    assert_eq!(settings.activation(&config, Method::SdpPlus), Activation::QuickGelu);
}
