//! `aaclip train` with the tiny model.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::snapshot::{Refusals, outline};
use crate::{Ran, Workplace, support};
use serde_json::Value;

impl Workplace {
    /// Six labelled pictures of 40 x 40.
    fn lessons(&self) -> &'static str {
        for i in 0..3 {
            self.picture(&format!("lessons/good/{i}.png"), 40, 40 + i);
            self.picture(&format!("lessons/defect/{i}.png"), 40 + i, 40);
            let mask = image::GrayImage::from_fn(40 + i, 40, |x, y| {
                image::Luma([if (8..20).contains(&x) && (5..25).contains(&y) { 255 } else { 0 }])
            });
            std::fs::create_dir_all(self.path("lessons/masks")).unwrap();
            mask.save(self.path(format!("lessons/masks/{i}.png"))).unwrap();
        }
        "lessons"
    }

    fn train(&self, method: &str, arguments: &[&str]) -> Ran {
        let model = support::tiny_model().to_str().unwrap();
        self.run(&[&["train", method, "--data", "lessons", "--model", model], arguments].concat())
    }

    fn log(&self, run: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path(run).join("train.jsonl")).unwrap();
        text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    /// A hash of the tensors of an adapter file. (Its bytes may differ in the order of its metadata.)
    fn digest(&self, path: impl AsRef<Path>) -> String {
        aaclip::methods::Trained::read(&self.path(path), None).unwrap().digest()
    }
}

const SHORT: [&str; 8] =
    ["--text-epochs", "2", "--image-epochs", "2", "--text-batch", "4", "--image-rate", "0.01"];

#[test]
fn both_stages_learn_and_can_be_used() {
    let here = Workplace::new();
    here.lessons();
    let ran = here.train("aa-clip", &[&["--out", "run"], &SHORT[..]].concat()).ok();
    assert_eq!(ran.stdout.trim(), "run/adapters.safetensors");
    let log = here.log("run");
    // Two batches of text and three of image adapters, an epoch.
    let stages: Vec<&str> = log.iter().map(|l| l["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, [vec!["text"; 4], vec!["image"; 6]].concat());
    let total = |i: usize| log[i]["total"].as_f64().unwrap();
    let epoch = |from: usize| (from..from + 3).map(total).sum::<f64>();
    assert!(epoch(7) < epoch(4), "{} {}", epoch(4), epoch(7));
    for file in ["text.safetensors", "epoch-1.safetensors", "epoch-2.safetensors", "state.safetensors"] {
        assert!(here.path("run").join(file).exists(), "{file}");
    }
    assert_eq!(here.digest("run/adapters.safetensors"), here.digest("run/epoch-2.safetensors"));
    let shown: Value = here.run(&["adapters", "show", "run/adapters.safetensors", "--json"]).ok().json();
    assert_eq!(shown["header"]["epochs"], "text 2, image 2", "{shown}");
    let found = here
        .detect(&["lessons/good/0.png", "--adapters", "run/adapters.safetensors", "--format", "json"])
        .ok();
    assert_eq!(found.json()["method"], "aa-clip");
    let by_folder = here.detect(&["lessons/good/0.png", "--adapters", "run", "--format", "json"]).ok();
    assert_eq!(by_folder.json()["score"], found.json()["score"]);
    // The same command once more gives the same bits.
    here.train("aa-clip", &[&["--out", "again"], &SHORT[..]].concat()).ok();
    assert_eq!(here.digest("run/adapters.safetensors"), here.digest("again/adapters.safetensors"));
}

#[test]
fn resumed_training_ends_with_the_same_bits() {
    let here = Workplace::new();
    here.lessons();
    let run = |out: &str, more: &[&str]| here.train("aa-clip", &[&["--out", out][..], &SHORT, more].concat());
    run("whole", &[]).ok();
    // Stopped within the first stage, at its end, and within the second.
    for steps in ["1", "4", "5", "7"] {
        let out = format!("part-{steps}");
        let stopped = run(&out, &["--max-steps", steps]);
        assert!(stopped.code == 2 && stopped.stderr.contains("--resume"), "{}", stopped.stderr);
        run(&out, &["--resume"]).ok();
        assert_eq!(
            here.digest("whole/adapters.safetensors"),
            here.digest(format!("{out}/adapters.safetensors")),
            "{steps}"
        );
        assert_eq!(here.log(&out).len(), 10);
    }
}

#[test]
fn the_built_in_model_is_trained_without_class_words() {
    let here = Workplace::new();
    here.lessons();
    let run = |method: &str, out: &str, more: &[&str]| {
        let common = ["train", method, "--data", "lessons", "--model", "builtin", "--image-size", "48"];
        here.run(&[&common[..], &["--out", out], more].concat()).ok();
        here.digest(format!("{out}/adapters.safetensors"))
    };
    let once = ["--text-epochs", "1", "--image-epochs", "1"];
    let aa_clip = |class: &str, out: &str| run("aa-clip", out, &[&once[..], &["--class", class]].concat());
    assert_eq!(aa_clip("object", "a"), aa_clip("bottle with cap", "b"));
    let linear = |class: &str, out: &str| run("sdp-plus", out, &["--epochs", "1", "--class", class]);
    assert_eq!(linear("object", "c"), linear("bottle with cap", "d"));
}

#[test]
fn linear_layers_are_trained_and_resumed() {
    let here = Workplace::new();
    here.lessons();
    let run = |out: &str, more: &[&str]| {
        here.train(
            "sdp-plus",
            &[&["--out", out, "--epochs", "3", "--batch", "5", "--rate", "0.01"][..], more].concat(),
        )
    };
    run("whole", &[]).ok();
    let log = here.log("whole");
    assert_eq!(log.len(), 6);
    assert!(log[4]["total"].as_f64() < log[0]["total"].as_f64());
    assert_eq!(run("part", &["--max-steps", "3"]).code, 2);
    run("part", &["--resume"]).ok();
    assert_eq!(here.digest("whole/adapters.safetensors"), here.digest("part/adapters.safetensors"));
    let found = here
        .detect(&["lessons/good/0.png", "--adapters", "whole/adapters.safetensors", "--format", "json"])
        .ok();
    assert_eq!(found.json()["method"], "sdp-plus");
    // The other fidelity trains something else.
    run("clean", &["--fidelity", "clean"]).ok();
    assert_ne!(here.digest("whole/adapters.safetensors"), here.digest("clean/adapters.safetensors"));
}

#[cfg(unix)]
#[test]
fn an_interrupt_finishes_the_step_and_saves() {
    let here = Workplace::new();
    here.lessons();
    let model = support::tiny_model().to_str().unwrap();
    let mut child = here
        .command()
        .args([
            "train", "sdp-plus", "--data", "lessons", "--model", model, "--out", "run", "--epochs", "100000",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !here.path("run/epoch-2.safetensors").exists() {
        assert!(started.elapsed() < Duration::from_secs(300), "it does not train");
        std::thread::sleep(Duration::from_millis(20));
    }
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let ended = child.wait().unwrap();
    assert_eq!(ended.code(), Some(2));
    let steps = here.log("run").len();
    assert!(here.path("run/state.safetensors").exists());
    let resumed =
        here.train("sdp-plus", &["--out", "run", "--epochs", "100000", "--resume", "--max-steps", "1"]);
    assert_eq!(resumed.code, 2);
    assert_eq!(here.log("run").len(), steps + 1);
}

#[test]
fn a_loss_that_is_no_number_names_its_batch() {
    let here = Workplace::new();
    here.lessons();
    // Finite weights whose products are not.
    let mut tensors = support::tiny_tensors();
    for layer in ["c_fc", "c_proj"] {
        let weight = tensors.get_mut(&format!("visual.transformer.resblocks.3.mlp.{layer}.weight")).unwrap();
        *weight = (&*weight * 1e30).unwrap();
    }
    std::fs::create_dir(here.path("wild")).unwrap();
    std::fs::write(here.path("wild/open_clip_config.json"), support::TINY_CONFIG).unwrap();
    candle_core::safetensors::save(&tensors, here.path("wild/open_clip_model.safetensors")).unwrap();
    let ran = here
        .run(&["train", "sdp-plus", "--data", "lessons", "--model", "wild", "--out", "run", "--batch", "2"]);
    let mut refused = Refusals::default();
    refused.line(&["train", "sdp-plus"], &ran);
    insta::assert_snapshot!(refused.0);
    assert!(!here.path("run/adapters.safetensors").exists());
}

#[test]
fn the_losses_are_plotted() {
    let here = Workplace::new();
    here.lessons();
    here.train("aa-clip", &[&["--out", "run"], &SHORT[..]].concat()).ok();
    let ran = here.run(&["train", "plot", "run/train.jsonl", "-o", "curves.html"]).ok();
    assert_eq!(ran.stdout.trim(), "curves.html");
    let _filters = here.filters();
    let page = std::fs::read_to_string(here.path("curves.html")).unwrap();
    insta::assert_snapshot!("page", outline(&page));
    std::fs::write(here.path("bad.jsonl"), "{}\n{}\n").unwrap();
    let mut refused = Refusals::default();
    refused.line(&["train", "plot", "bad.jsonl"], &here.run(&["train", "plot", "bad.jsonl"]));
    insta::assert_snapshot!(refused.0);
}

#[test]
fn few_shots_and_mistakes() {
    let here = Workplace::new();
    here.lessons();
    let base = ["--max-steps", "1", "--fidelity", "clean"];
    here.train("aa-clip", &[&["--out", "few", "--shots", "1", "--text-batch", "16"], &base[..]].concat());
    assert_eq!(here.log("few").len(), 1);
    let _filters = here.filters();
    let mut refused = Refusals::default();
    for (method, arguments) in [
        ("aa-clip", &["--out", "few"][..]),
        ("aa-clip", &["--out", "none", "--resume"]),
        ("aa-clip", &["--out", "few", "--resume", "--seed", "5", "--shots", "1"]),
        ("aa-clip", &["--out", "x", "--levels", "9"]),
        ("aa-clip", &["--out", "x", "--text-adapters", "few"]),
        ("sdp-plus", &["--out", "x", "--data", "nowhere"]),
    ] {
        refused.line(&[&[method], arguments].concat(), &here.train(method, arguments));
    }
    insta::assert_snapshot!(refused.0);
    assert!(!here.path("x").join("state.safetensors").exists());
}
