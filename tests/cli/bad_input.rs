//! Everything that can be wrong gives one clear line on stderr and exit code 2.

use std::path::Path;

use crate::snapshot::Refusals;
use crate::{Workplace, support};

#[test]
fn pictures() {
    let here = Workplace::new();
    let write = |name: &str, bytes: &[u8]| std::fs::write(here.path(name), bytes).unwrap();
    for ending in ["png", "jpg", "webp", "bmp", "tif", "gif"] {
        let good = std::fs::read(here.picture(&format!("good.{ending}"), 64, 48)).unwrap();
        write(&format!("cut.{ending}"), &good[..good.len() / 2]);
    }
    let jpeg = std::fs::read(here.path("good.jpg")).unwrap();
    write("late.jpg", &jpeg[..jpeg.len() - 20]);
    write("empty.png", b"");
    write("text.png", b"I am a text file.\n");
    write(
        "garbage.jpg",
        &[0xFF, 0xD8, 0xFF, 0xE0, 0, 16, b'J', b'F', b'I', b'F', 0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    );
    write("bomb.png", &png_header(30_000, 30_000));
    std::fs::create_dir(here.path("folder.png")).unwrap();
    let _filters = here.filters();
    let mut refused = Refusals::default();
    for name in [
        "empty.png",
        "text.png",
        "garbage.jpg",
        "cut.png",
        "cut.jpg",
        "late.jpg",
        "cut.webp",
        "cut.bmp",
        "cut.tif",
        "cut.gif",
        "bomb.png",
        "gone.png",
        "folder.png",
        "no*such",
    ] {
        refused.line(&["detect", name], &here.detect(&[name]));
    }
    insta::assert_snapshot!(refused.0);
}

#[test]
fn extreme_but_valid_pictures_are_scored() {
    let here = Workplace::new();
    here.picture("dot.png", 1, 1);
    here.picture("strip.png", 1, 20_000);
    here.picture("line.png", 20_000, 1);
    for fit in ["squash", "crop", "keep", "pad"] {
        for name in ["dot.png", "strip.png", "line.png"] {
            here.detect(&[name, "--fit", fit, "--save", "overlay,mask", "--out", "o"]).ok();
        }
    }
    let ran = here.detect(&["strip.png", "--max-megapixels", "1"]).ok();
    assert!(ran.stdout.contains("strip.png"));
}

#[test]
fn one_bad_picture_does_not_stop_the_others() {
    let here = Workplace::new();
    here.picture("in/a.png", 20, 20);
    here.picture("in/c.png", 20, 20);
    std::fs::write(here.path("in/b.png"), b"broken").unwrap();
    let ran = here.detect(&["in", "--format", "jsonl"]);
    assert_eq!((ran.code, ran.stderr.lines().count()), (2, 1), "{}", ran.stderr);
    assert!(ran.stderr.contains("b.png"), "{}", ran.stderr);
    let lines = ran.json_lines();
    let error = |i: usize| lines[i]["error"]["kind"].as_str();
    assert_eq!([error(0), error(1), error(2)], [None, Some("not_a_picture"), None]);
    assert!(lines[1]["score"].is_null() && lines[2]["score"].is_number());
    // A person reads the reason on stderr alone.
    assert_eq!(here.detect(&["in"]).stdout.lines().count(), 2);
}

#[cfg(unix)]
#[test]
fn unreadable_pictures_and_unwritable_folders() {
    use std::os::unix::fs::PermissionsExt;
    let here = Workplace::new();
    here.picture("a.png", 20, 20);
    // A file where the folder should be stops every user, also one who may write anywhere.
    std::fs::write(here.path("file"), b"").unwrap();
    let mut refused = Refusals::default();
    let below = ["a.png", "--save", "raw", "--out", "file/below"];
    refused.line(&below, &here.detect(&below));
    insta::assert_snapshot!("below_a_file", refused.0);

    let readonly = here.path("readonly");
    std::fs::create_dir(&readonly).unwrap();
    std::fs::set_permissions(&readonly, std::fs::Permissions::from_mode(0o555)).unwrap();
    here.picture("secret.png", 20, 20);
    std::fs::set_permissions(here.path("secret.png"), std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read(here.path("secret.png")).is_ok() {
        return support::skip("this user may read and write everything");
    }
    for (arguments, expected) in [
        (&["secret.png"][..], "cannot read secret.png"),
        (&["a.png", "--save", "raw", "--out", "readonly"], "readonly"),
    ] {
        let mut refused = Refusals::default();
        refused.line(arguments, &here.detect(arguments));
        assert!(refused.0.contains(expected), "{}", refused.0);
    }
}

#[test]
fn models() {
    let here = Workplace::new();
    here.picture("a.png", 20, 20);
    let _filters = here.filters();
    let mut refused = Refusals::default();
    let mut refuse = |what: &str, model: &str| {
        refused.line(&[what], &here.run(&["detect", "a.png", "--model", model]));
    };
    refuse("unknown", "no-such-model");
    refuse("not downloaded", "ViT-L/14@336");

    let copy = |name: &str| {
        let dir = here.path(name);
        std::fs::create_dir(&dir).unwrap();
        for file in ["open_clip_config.json", "open_clip_model.safetensors"] {
            std::fs::copy(support::tiny_model().join(file), dir.join(file)).unwrap();
        }
        dir
    };
    let weights = |dir: &Path| dir.join("open_clip_model.safetensors");
    let config = |dir: &Path| dir.join("open_clip_config.json");

    let dir = copy("no-config");
    std::fs::remove_file(config(&dir)).unwrap();
    refuse("no config", "no-config");
    let dir = copy("no-weights");
    std::fs::remove_file(weights(&dir)).unwrap();
    refuse("no weights", "no-weights");
    let dir = copy("bad-config");
    std::fs::write(config(&dir), "{").unwrap();
    refuse("bad config", "bad-config");
    let dir = copy("other-config");
    std::fs::write(config(&dir), support::TINY_CONFIG.replace("\"layers\": 4", "\"layers\": 5")).unwrap();
    refuse("deeper", "other-config");
    std::fs::write(config(&dir), support::TINY_CONFIG.replace("\"layers\": 4", "\"layers\": 3")).unwrap();
    refuse("shallower", "other-config");
    std::fs::write(config(&dir), support::TINY_CONFIG.replace("\"embed_dim\": 16", "\"embed_dim\": 8"))
        .unwrap();
    refuse("other width", "other-config");
    let dir = copy("cut");
    let bytes = std::fs::read(weights(&dir)).unwrap();
    std::fs::write(weights(&dir), &bytes[..bytes.len() - 100]).unwrap();
    refuse("cut off", "cut");
    std::fs::write(weights(&dir), "<html>quota exceeded</html>").unwrap();
    refuse("web page", "cut");
    let dir = copy("two");
    std::fs::rename(weights(&dir), dir.join("one.safetensors")).unwrap();
    std::fs::copy(dir.join("one.safetensors"), dir.join("two.safetensors")).unwrap();
    refuse("two files", "two");

    for (tensor, value) in [("visual.ln_post.weight", f32::NAN), ("ln_final.bias", f32::INFINITY)] {
        let dir = here.path(tensor);
        std::fs::create_dir(&dir).unwrap();
        std::fs::copy(config(support::tiny_model()), config(&dir)).unwrap();
        let mut tensors = support::tiny_tensors();
        let shape = tensors[tensor].shape().clone();
        tensors.insert(
            tensor.to_owned(),
            candle_core::Tensor::full(value, shape, &candle_core::Device::Cpu).unwrap(),
        );
        candle_core::safetensors::save(&tensors, weights(&dir)).unwrap();
        refuse(tensor, tensor);
    }
    insta::assert_snapshot!(refused.0);
}

#[test]
fn settings() {
    let here = Workplace::new();
    here.picture("a.png", 20, 20);
    let mut refused = Refusals::default();
    for args in [
        &["--levels", "0"][..],
        &["--levels", "5"],
        &["--image-size", "4"],
        &["--prompts", "no-such"],
        &["--anchors", "pca", "--anchor-eps", "1"],
        &["--anchor-bandwidth", "1"],
        &["--anchors", "kde", "--anchor-bandwidth", "0"],
        &["--anchors", "dbscan", "--anchor-eps", "0.00001"],
        &["--scale", "auto"],
        &["--device", "cuda"],
    ] {
        refused.line(args, &here.detect(&[&["a.png"], args].concat()));
    }
    // What clap refuses takes more than a line, as it shows the usage.
    for args in [
        &["--threshold", "2"][..],
        &["--threshold", "NaN"],
        &["--threshold", "-1"],
        &["--smoothing", "-1"],
        &["--image-size", "0"],
        &["--image-size", "99999"],
        &["--save", "heat"],
        &["--format", "xml"],
        &["--device", "gpu"],
        &["--levels", "a"],
        &["--no-such-flag"],
    ] {
        refused.lines(args, &here.detect(&[&["a.png"], args].concat()));
    }
    refused.lines(&["detect"], &here.run(&["detect"]));
    insta::assert_snapshot!(refused.0);
    assert_eq!(here.run(&[]).code, 2);
}

/// A PNG that promises `width` x `height` pixels and has none.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut chunk = b"IHDR".to_vec();
    chunk.extend(width.to_be_bytes());
    chunk.extend(height.to_be_bytes());
    chunk.extend([8, 2, 0, 0, 0]);
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    bytes.extend(&chunk);
    bytes.extend(crc32(&chunk).to_be_bytes());
    bytes.extend(b"\0\0\0\x0cIDAT\x78\x9c\x63\x60\x60\x60\0\0\0\x04\0\x01");
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &b| {
        (0..8).fold(crc ^ u32::from(b), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

#[test]
fn an_input_in_place_of_a_command_is_recognised() {
    let here = Workplace::new();
    here.picture("my photos/a.png", 30, 30);
    let mut refused = Refusals::default();
    for name in ["my photos", "my photos/a.png", "photos"] {
        refused.lines(&[name], &here.run(&[name]));
    }
    insta::assert_snapshot!(refused.0);
}
