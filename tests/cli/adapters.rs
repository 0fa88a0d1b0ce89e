//! Trained detectors through the real binary: official checkpoints, our own files, and checkpoints that do not fit.

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use ndarray::Array2;

use crate::snapshot::Refusals;
use crate::{Ran, Workplace, support};

/// Random adapters for the tiny model, under the official names.
fn tiny_adapters() -> Vec<(String, Tensor)> {
    let weight = |k: usize, shape: (usize, usize)| {
        let values: Vec<f32> =
            (0..shape.0 * shape.1).map(|i| (((i * 37 + k * 11) % 101) as f32 - 50.0) / 100.0).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    };
    let mut all = vec![
        ("text_adapter.0.fc.0.weight".to_owned(), weight(1, (8, 8))),
        ("text_adapter.1.fc.0.weight".to_owned(), weight(2, (16, 8))),
        ("image_adapter.det_proj.fc.weight".to_owned(), weight(3, (16, 32))),
    ];
    for i in 0..2 {
        all.push((format!("image_adapter.layer_adapters.{i}.fc.0.weight"), weight(10 + i, (32, 32))));
    }
    for i in 0..4 {
        all.push((format!("image_adapter.seg_proj.{i}.fc.weight"), weight(20 + i, (16, 32))));
    }
    all
}

fn tiny_linear() -> Vec<(String, Tensor)> {
    let values =
        |n: usize, k: usize| (0..n).map(|i| (((i * 37 + k) % 101) as f32 - 50.0) / 100.0).collect::<Vec<_>>();
    let layer = |i: usize| {
        [
            (format!("fc.{i}.weight"), Tensor::from_vec(values(16 * 32, i), (16, 32), &Device::Cpu).unwrap()),
            (format!("fc.{i}.bias"), Tensor::from_vec(values(16, i), (16,), &Device::Cpu).unwrap()),
        ]
    };
    (0..4).flat_map(layer).collect()
}

fn save(path: &Path, tensors: Vec<(String, Tensor)>) -> PathBuf {
    candle_core::safetensors::save(&tensors.into_iter().collect(), path).unwrap();
    path.to_owned()
}

fn record(ran: Ran) -> serde_json::Value {
    ran.ok().json()
}

#[test]
fn every_method_gives_its_components_and_a_score_of_its_own() {
    let here = Workplace::new();
    here.picture("a.png", 60, 40);
    save(&here.path("aa.safetensors"), tiny_adapters());
    save(&here.path("plus.safetensors"), tiny_linear());
    let run = |args: &[&str]| {
        record(here.detect(&[&["a.png", "--format", "json", "--save", "raw,overlay"], args].concat()))
    };
    let mut scores = Vec::new();
    for (args, method) in [
        (&[][..], "sdp"),
        (&["--adapters", "plus.safetensors"], "sdp-plus"),
        (&["--adapters", "aa.safetensors"], "aa-clip"),
        (&["--adapters", "aa.safetensors", "--method", "aa-sdp"], "aa-sdp"),
    ] {
        let found = run(args);
        assert_eq!(found["method"], method);
        assert!(found["components"]["image"].is_number() && found["components"]["map_max"].is_number());
        let score = found["score"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&score) && !scores.contains(&score), "{method}");
        scores.push(score);
        assert_eq!(image::image_dimensions(here.path("aaclip-out/a.png.overlay.png")).unwrap(), (60, 40));
    }
    // The ends of the fusion are AA-CLIP alone, and its anchors on the surgery path alone.
    let raw = |args: &[&str]| -> Array2<f32> {
        run(&[&["--adapters", "aa.safetensors"], args].concat());
        ndarray_npy::read_npy(here.path("aaclip-out/a.png.npy")).unwrap()
    };
    let (aa, none) = (raw(&[]), raw(&["--method", "aa-sdp", "--fusion", "0"]));
    assert!((&aa - &none).iter().all(|d| d.abs() < 1e-4));
    let (half, all) = (raw(&["--method", "aa-sdp"]), raw(&["--method", "aa-sdp", "--fusion", "1"]));
    assert!((&half * 2.0 - &aa - &all).iter().all(|d| d.abs() < 1e-3));
}

#[test]
fn settings_of_aa_clip_change_what_they_should() {
    let here = Workplace::new();
    here.picture("a.png", 60, 40);
    save(&here.path("aa.safetensors"), tiny_adapters());
    let run = |args: &[&str]| {
        let found = record(
            here.detect(&[&["a.png", "--format", "json", "--adapters", "aa.safetensors"], args].concat()),
        );
        (found["score"].as_f64().unwrap(), found["components"].clone(), found["class"].clone())
    };
    let default = run(&[]);
    assert_eq!(
        run(&["--text-adapt-until", "1", "--image-adapt-until", "2", "--text-adapt-weight", "0.1"]),
        default
    );
    assert_eq!(
        run(&["--relu=false", "--domain", "industrial", "--smoothing", "1", "--method", "aa-clip"]),
        default
    );
    for args in [
        &["--text-adapt-until", "0"][..],
        &["--image-adapt-until", "1"],
        &["--text-adapt-weight", "0.5"],
        &["--image-adapt-weight", "0"],
        &["--relu"],
        &["--domain", "medical"],
        &["--smoothing", "0"],
        &["--levels", "1,2,3,4", "--activation", "quick-gelu"],
        &["--class", "screw"],
    ] {
        assert_ne!(run(args).1, default.1, "{args:?}");
    }
    assert_eq!(run(&["--class", "mvtec:bottle"]).2, "dark bottle");
    assert_eq!(run(&["--class", "bottle", "--dataset-names", "MVTec"]).2, "dark bottle");
    assert_eq!(run(&["--class", "bottle"]).2, "bottle");
    // A medical class makes the domain medical.
    let medical = run(&["--class", "Brain:Brain"]);
    assert_eq!(medical, run(&["--class", "scan", "--domain", "medical"]));
}

#[test]
fn our_own_files_give_the_same_and_say_what_they_are() {
    let here = Workplace::new();
    here.picture("a.png", 40, 40);
    save(&here.path("aa.safetensors"), tiny_adapters());
    here.run(&[
        "adapters",
        "convert",
        "aa.safetensors",
        "mine.safetensors",
        "--base-model",
        "tiny",
        "--levels",
        "1,2,3,4",
        "--training-data",
        "formula",
    ])
    .ok();
    let shown = here.run(&["adapters", "show", "mine.safetensors", "--json"]).ok().json();
    assert_eq!(shown["method"], "aa-clip");
    assert_eq!(shown["header"]["base_model"], "tiny");
    assert_eq!(shown["header"]["levels"], "1,2,3,4");
    assert_eq!(shown["tensors"]["seg_proj.3"], serde_json::json!([16, 32]));
    assert_eq!(
        (&shown["shapes"]["image_width"], &shown["shapes"]["text_adapt_until"]),
        (&32.into(), &1.into())
    );
    let stored = aaclip::weights::open(&here.path("mine.safetensors")).unwrap();
    for (key, value) in
        [("method", "aa-clip"), ("embed_dim", "16"), ("image_adapt_until", "2"), ("text_width", "8")]
    {
        assert_eq!(stored.metadata()[key], value);
    }
    let _filters = here.filters();
    insta::assert_snapshot!("show", here.run(&["adapters", "show", "mine.safetensors"]).ok().stdout);
    let score = |adapters: &str| {
        record(here.detect(&["a.png", "--format", "json", "--adapters", adapters]))["score"].clone()
    };
    assert_eq!(score("aa.safetensors"), score("mine.safetensors"));
    // Names as the reference writes them with --relu imply it.
    let relu = tiny_adapters().into_iter().map(|(n, t)| {
        (n.replace("det_proj.fc.weight", "det_proj.fc.0.weight").replacen(".fc.weight", ".fc.0.weight", 1), t)
    });
    save(&here.path("relu.safetensors"), relu.collect());
    assert_ne!(score("relu.safetensors"), score("aa.safetensors"));
    let ran = record(here.detect(&["a.png", "--format", "json", "--adapters", "aa.safetensors", "--relu"]));
    assert_eq!(score("relu.safetensors"), ran["score"]);
}

#[test]
fn checkpoints_that_do_not_fit_are_refused() {
    let here = Workplace::new();
    here.picture("a.png", 20, 20);
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/torch");
    type Tensors = Vec<(String, Tensor)>;
    let change = |name: &str, edit: &dyn Fn(&mut Tensors)| {
        let mut tensors = tiny_adapters();
        edit(&mut tensors);
        save(&here.path(name), tensors);
    };
    let zeros = |shape: &[usize]| Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu).unwrap();
    change("wide.safetensors", &|t| {
        for (name, tensor) in t.iter_mut().filter(|(n, _)| n.starts_with("image_adapter")) {
            *tensor = zeros(if name.contains("layer") { &[1024, 1024] } else { &[768, 1024] });
        }
    });
    change("text.safetensors", &|t| t[0].1 = zeros(&[768, 768]));
    change("deep.safetensors", &|t| {
        t.extend((2..9).map(|i| (format!("image_adapter.layer_adapters.{i}.fc.0.weight"), zeros(&[32, 32]))));
    });
    change("levels.safetensors", &|t| t.retain(|(n, _)| !n.contains("seg_proj.3")));
    change("gap.safetensors", &|t| t.retain(|(n, _)| !n.contains("seg_proj.1")));
    change("half.safetensors", &|t| t.retain(|(n, _)| !n.contains("det_proj")));
    change("only-text.safetensors", &|t| t.retain(|(n, _)| n.starts_with("text")));
    change("nan.safetensors", &|t| t[2].1 = Tensor::full(f32::NAN, (16, 32), &Device::Cpu).unwrap());
    save(&here.path("plus.safetensors"), tiny_linear());
    save(
        &here.path("optimiser.safetensors"),
        vec![("image_optimizer.state.0.exp_avg".to_owned(), zeros(&[4]))],
    );
    save(&here.path("clip.safetensors"), vec![("visual.proj".to_owned(), zeros(&[4, 4]))]);
    let whole = std::fs::read(fixtures.join("adapter.pth")).unwrap();
    std::fs::write(here.path("cut.pth"), &whole[..whole.len() / 2]).unwrap();
    std::fs::copy(fixtures.join("evil.pt"), here.path("evil.pth")).unwrap();
    let header = br#"{"fc.0.weight":{"dtype":"F32","shape":[9,9],"data_offsets":[0,8]}}"#;
    let lying = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 8]].concat();
    std::fs::write(here.path("lying.safetensors"), lying).unwrap();
    std::fs::create_dir(here.path("empty")).unwrap();
    let _filters = here.filters();
    let mut refused = Refusals::default();
    for args in [
        &["wide.safetensors"][..],
        &["text.safetensors"],
        &["deep.safetensors"],
        &["levels.safetensors"],
        &["gap.safetensors"],
        &["half.safetensors"],
        &["only-text.safetensors"],
        &["nan.safetensors"],
        &["plus.safetensors", "--method", "aa-clip"],
        &["wide.safetensors", "--method", "sdp-plus"],
        &["plus.safetensors", "--method", "sdp"],
        &["plus.safetensors", "--relu"],
        &["optimiser.safetensors"],
        &["clip.safetensors"],
        &["cut.pth"],
        &["evil.pth"],
        &["lying.safetensors"],
        &["empty"],
        &["gone.pth"],
    ] {
        refused.line(args, &here.detect(&[&["a.png", "--adapters"], args].concat()));
    }
    assert!(!here.path("aaclip-was-here").exists());
    save(&here.path("good.safetensors"), tiny_adapters());
    for args in [
        &["a.png", "--method", "aa-clip"][..],
        &["a.png", "--adapters", "good.safetensors", "--image-adapt-until", "3"],
    ] {
        refused.line(args, &here.detect(args));
    }
    insta::assert_snapshot!(refused.0);
}

/// The official code's maps and predictions from picture files, with the golden adapters.
#[test]
fn golden_maps_of_trained_methods() {
    let (golden, model, case) = (support::golden(), support::golden_model(), support::case("data"));
    let (aa, plus) = (support::tensors("aaclip_infer"), support::tensors("clipad_sdp_plus"));
    let files: Vec<&str> = case["files"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
    let here = Workplace::new();
    let adapters = golden.join("weights/aaclip_adapters.safetensors");
    let linear = golden.join("weights/clipad_linear.safetensors");
    let (adapters, linear) = (adapters.to_str().unwrap(), linear.to_str().unwrap());
    for (class, first, flags, tag) in [
        ("bottle", 0, &["--class", "mvtec:bottle"][..], "norelu.bottle.industrial"),
        ("bottle", 0, &["--class", "mvtec:bottle", "--relu"], "relu.bottle.industrial"),
        ("metal_nut", 6, &["--class", "mvtec:metal_nut"], "norelu.metal_nut.industrial"),
        ("bottle", 0, &["--class", "Brain:Brain"], "norelu.Brain.medical"),
        ("bottle", 0, &["--class", "bottle"], "test_ft_py.sigma8"),
        ("metal_nut", 6, &["--class", "metal_nut", "--smoothing", "2"], "test_ft_py.sigma2"),
    ] {
        let trained = tag.starts_with("test_ft");
        let folder = golden.join("data/mvtec_mini").join(class).join("test");
        let common = [
            "detect",
            folder.to_str().unwrap(),
            "--model",
            model.to_str().unwrap(),
            "--save",
            "raw",
            "--out",
            tag,
            "--format",
            "jsonl",
            "--adapters",
            if trained { linear } else { adapters },
        ];
        let records = here.run(&[&common, flags].concat()).ok().json_lines();
        for (i, file) in files[first..first + 6].iter().enumerate() {
            let path = golden.join("data/mvtec_mini").join(file);
            let record =
                records.iter().find(|r| r["path"] == path.to_str().unwrap()).expect("a record per picture");
            let raw: Array2<f32> =
                ndarray_npy::read_npy(here.path(record["files"]["raw"].as_str().unwrap())).unwrap();
            // AA-CLIP's tensors have the six pictures of the class, SDP+'s all twelve.
            let (maps, images, row, component) = match trained {
                true => (&plus[&format!("{tag}.pr_px")], &plus[&format!("{tag}.pr_sp0")], first + i, "image"),
                false => (&aa[&format!("{tag}.map_sum")], &aa[&format!("{tag}.image_pred")], i, "image"),
            };
            let expected: Vec<f32> = maps.get(row).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let (low, high) = expected.iter().fold((f32::MAX, f32::MIN), |(l, h), &v| (l.min(v), h.max(v)));
            let largest = raw.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(largest / (high - low) < 1e-4, "{tag} {file}: {largest}");
            let found = record["components"][component].as_f64().unwrap() as f32;
            let value = images.get(row).unwrap().to_scalar::<f32>().unwrap();
            assert!((found - value).abs() < 1e-5, "{tag} {file}: {found} {value}");
        }
    }
}
