//! AA-CLIP's inference: adapted anchors, patch features, maps and image predictions.

use std::cell::Cell;

use aaclip::anchors::{
    AnchorCache, AnchorRequest, Domain, PlainText, PromptSet, Representative, SentenceEncoder, text_anchors,
};
use aaclip::clip::{Activation, Checkpoint, ClipConfig, Compute, SpecialTokens, parameters};
use aaclip::map::{Alignment, Curve, PatchGrid, Smoothing, blur, final_map};
use aaclip::methods::aa_clip::{self, Adapters, decision};
use aaclip::methods::{Method, OptionValues, Setup, Trained, sdp_plus};
use aaclip::{Detector, progress::Progress};
use candle_core::{Device, Tensor};
use ndarray::Array2;

use crate::support::{assert_close, golden, golden_levels, golden_model, golden_settings, tensors};

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
    let file = Trained::read(&golden.join("weights/aaclip_adapters.safetensors"), None).unwrap();
    assert_eq!((file.method(), file.header().get("relu")), (&aa_clip::METHOD, None));
    let adapters = Adapters { weights: &file, config, device: &device, options: &OptionValues::default() };
    let text_adapter = adapters.text().unwrap().unwrap();
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
                prompts: &prompts,
                class: &text.text,
                representative: Representative::Mean,
                activation: Activation::Gelu,
                encoder: if adapted { &text_adapter as &dyn SentenceEncoder } else { &PlainText },
                special: SpecialTokens::AaClip,
                progress: Progress::Silent,
            };
            let found = text_anchors(&checkpoint, &request, &AnchorCache::disabled(), &device).unwrap();
            found.columns(&device).unwrap()
        };
        let adapted = anchors(true);
        assert_close(class, &adapted, &expected[&format!("text_anchor.{class}")], 1e-5);
        assert_close(class, &anchors(false), &expected[&format!("text_anchor_unadapted.{class}")], 1e-5);

        for relu in [false, true] {
            let mut options = OptionValues::default();
            options.set_by_name("relu", &relu.to_string()).unwrap();
            let adapter = Adapters { options: &options, ..adapters }.image(&aa_clip::METHOD).unwrap();
            let images = data["images"].narrow(0, first, 6).unwrap();
            let tokens = adapter.tokens(&vision, &images, &levels).unwrap();
            let projected = decision::project(&vision, &tokens, &adapter).unwrap();
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
            let prediction = decision::image_prediction(&projected.image, &adapted).unwrap();
            check(format!("{tag}.{class}.{kind}.image_pred"), &prediction);
            let mut grids = Vec::new();
            for (level, patches) in levels.iter().zip(&projected.patches) {
                check(format!("{tag}.{class}.seg_tokens.level{level}"), patches);
                let grid = decision::level_map(patches, &adapted).unwrap();
                let Smoothing::Patches { taps, sigma } = decision::smoothing(domain, None) else {
                    panic!("AA-CLIP smooths on the patch grid")
                };
                let blurred: Vec<Tensor> = (0..6)
                    .map(|i| tensor_of(blur(grid_of(&grid.get(i).unwrap()).view(), taps, sigma)))
                    .collect();
                check(
                    format!("{tag}.{class}.{kind}.grid.level{level}"),
                    &Tensor::stack(&blurred, 0).unwrap(),
                );
                grids.push(grid);
            }
            let maps: Vec<Tensor> = (0..6)
                .map(|i| {
                    let one: Vec<PatchGrid> = grids
                        .iter()
                        .map(|g| PatchGrid {
                            values: grid_of(&g.get(i).unwrap()),
                            alignment: Alignment::Corners,
                            curve: Curve::Linear,
                        })
                        .collect();
                    tensor_of(final_map(&one, (size, size), decision::smoothing(domain, None)))
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
    let folder = Trained::read(&golden.join("aaclip_train/official_ckpt"), None).unwrap();
    assert_eq!(folder.method(), &aa_clip::METHOD);
    assert_eq!(
        folder.tensors().count(),
        adapted("text_adapt_until") + 1 + adapted("image_adapt_until") + levels + 1
    );
    assert!(folder.header().get("epochs").is_some());
    let named = Trained::read(&golden.join("aaclip_train/official_ckpt/image_adapter.pth"), None).unwrap();
    assert_eq!(named, folder);
    let plus = Trained::read(&golden.join("clipad_sdp_plus/official_ckpt"), None).unwrap();
    assert_eq!((plus.method(), plus.tensors().count()), (&sdp_plus::METHOD, 2 * levels));
}

/// A model of ViT-L/14@336's grid that asks for QuickGELU, otherwise as small as possible, and AA-CLIP's adapters for it.
#[test]
fn aa_clip_looks_at_518_pixels_with_the_exact_gelu() {
    let dir = tempfile::tempdir().unwrap();
    let json = r#"{"embed_dim": 4, "quick_gelu": true,
        "vision_cfg": {"image_size": 336, "layers": 4, "width": 8, "head_width": 8, "patch_size": 14},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 8, "heads": 1, "layers": 1}}"#;
    std::fs::write(dir.path().join("open_clip_config.json"), json).unwrap();
    let config = ClipConfig::from_dir(dir.path()).unwrap();
    let filled = |shape: &[usize]| Tensor::ones(shape, candle_core::DType::F32, &Device::Cpu).unwrap();
    let model: std::collections::HashMap<String, Tensor> =
        parameters(&config).iter().map(|p| (p.name.clone(), filled(&p.shape))).collect();
    candle_core::safetensors::save(&model, dir.path().join("model.safetensors")).unwrap();
    let mut adapters: std::collections::HashMap<String, Tensor> =
        (0..4).map(|i| (format!("image_adapter.seg_proj.{i}.fc.weight"), filled(&[4, 8]))).collect();
    adapters.insert("image_adapter.det_proj.fc.weight".into(), filled(&[4, 8]));
    let file = dir.path().join("adapters.safetensors");
    candle_core::safetensors::save(&adapters, &file).unwrap();

    let builder = Detector::builder(dir.path().to_str().unwrap()).cache(AnchorCache::disabled());
    for (method, checkpoint, size, activation) in [
        ("sdp", None, 336, "quick-gelu"),
        ("aa-clip", Some(&file), 518, "gelu"),
        ("aa-sdp", Some(&file), 518, "gelu"),
    ] {
        let builder = builder.clone().method(method);
        let builder = match checkpoint {
            Some(file) => builder.checkpoint(file),
            None => builder,
        };
        let opened = builder.open().unwrap();
        assert_eq!((opened.image_size(), opened.method()), (size, Method::find(method).unwrap()));
        assert_eq!(opened.provenance().unwrap().get("activation"), Some(activation), "{method}");
    }
    // SDP+ has no activation of its own either.
    let setup = Setup::new(&sdp_plus::METHOD, Checkpoint::open(dir.path()).unwrap());
    assert_eq!(setup.activation(None), Activation::QuickGelu);
}
