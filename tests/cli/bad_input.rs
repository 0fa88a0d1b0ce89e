//! Everything that can be wrong gives one clear line on stderr and exit code 2.

use std::path::Path;

use crate::{Ran, Workplace, support};

#[track_caller]
fn assert_one_line(what: &str, ran: &Ran, expected: &[&str]) {
    assert_eq!(ran.code, 2, "{what}: {}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{what}: {}", ran.stderr);
    assert!(ran.stderr.starts_with("aaclip: "), "{what}: {}", ran.stderr);
    for text in expected {
        assert!(ran.stderr.contains(text), "{what}: no `{text}` in: {}", ran.stderr);
    }
}

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
    for (name, expected) in [
        ("empty.png", &["empty.png is empty"][..]),
        ("text.png", &["text.png is not a picture"]),
        ("garbage.jpg", &["garbage.jpg", "JPEG"]),
        ("cut.png", &["cut.png", "PNG"]),
        ("cut.jpg", &["cut.jpg", "JPEG", "ends before"]),
        ("late.jpg", &["late.jpg", "JPEG", "ends before"]),
        ("cut.webp", &["cut.webp", "WebP"]),
        ("cut.bmp", &["cut.bmp", "BMP"]),
        ("cut.tif", &["cut.tif", "TIFF"]),
        ("cut.gif", &["cut.gif", "GIF"]),
        ("bomb.png", &["bomb.png is too large", "30000 x 30000", "--max-megapixels"]),
        ("gone.png", &["cannot read gone.png"]),
        ("folder.png", &["folder.png", "no picture in this folder"]),
        ("no*such", &["no file matches"]),
    ] {
        let ran = here.detect(&[name]);
        assert_one_line(name, &ran, expected);
        assert_eq!(ran.stdout, "", "{name}");
    }
}

#[test]
fn extreme_but_valid_pictures_are_scored() {
    let here = Workplace::new();
    here.picture("dot.png", 1, 1);
    here.picture("strip.png", 1, 20_000);
    here.picture("line.png", 20_000, 1);
    for fit in ["squash", "crop", "pad"] {
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
    assert_one_line("a bad picture among good ones", &ran, &["b.png is not a picture"]);
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
    let ran = here.detect(&["a.png", "--save", "raw", "--out", "file/below"]);
    assert_one_line("--out below a file", &ran, &["output folder", "file/below"]);

    let readonly = here.path("readonly");
    std::fs::create_dir(&readonly).unwrap();
    std::fs::set_permissions(&readonly, std::fs::Permissions::from_mode(0o555)).unwrap();
    here.picture("secret.png", 20, 20);
    std::fs::set_permissions(here.path("secret.png"), std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read(here.path("secret.png")).is_ok() {
        return support::skip("this user may read and write everything");
    }
    assert_one_line("unreadable", &here.detect(&["secret.png"]), &["cannot read secret.png"]);
    let ran = here.detect(&["a.png", "--save", "raw", "--out", "readonly"]);
    assert_one_line("read-only folder", &ran, &["output folder", "readonly"]);
}

#[test]
fn models() {
    let here = Workplace::new();
    here.picture("a.png", 20, 20);
    let run = |model: &str| here.run(&["detect", "a.png", "--model", model]);
    assert_one_line("unknown", &run("no-such-model"), &["no model `no-such-model`", "ViT-B-16-plus-240"]);
    let ran = run("ViT-L/14@336");
    assert_one_line("not downloaded", &ran, &["aaclip models pull ViT-L-14-336", "1712 MB"]);

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
    assert_one_line("no config", &run("no-config"), &["no-config", "no model configuration"]);
    let dir = copy("no-weights");
    std::fs::remove_file(weights(&dir)).unwrap();
    assert_one_line("no weights", &run("no-weights"), &["no-weights holds no weights"]);
    let dir = copy("bad-config");
    std::fs::write(config(&dir), "{").unwrap();
    assert_one_line("bad config", &run("bad-config"), &["open_clip_config.json", "JSON"]);
    let dir = copy("other-config");
    std::fs::write(config(&dir), support::TINY_CONFIG.replace("\"layers\": 4", "\"layers\": 5")).unwrap();
    assert_one_line("deeper", &run("other-config"), &["no tensor `visual.transformer.resblocks.4."]);
    std::fs::write(config(&dir), support::TINY_CONFIG.replace("\"layers\": 4", "\"layers\": 3")).unwrap();
    assert_one_line("shallower", &run("other-config"), &["12 tensors", "another model"]);
    std::fs::write(config(&dir), support::TINY_CONFIG.replace("\"embed_dim\": 16", "\"embed_dim\": 8"))
        .unwrap();
    assert_one_line("other width", &run("other-config"), &["`visual.proj`", "[32, 16]", "[32, 8]"]);
    let dir = copy("cut");
    let bytes = std::fs::read(weights(&dir)).unwrap();
    std::fs::write(weights(&dir), &bytes[..bytes.len() - 100]).unwrap();
    assert_one_line("cut off", &run("cut"), &["open_clip_model.safetensors is damaged"]);
    std::fs::write(weights(&dir), "<html>quota exceeded</html>").unwrap();
    assert_one_line("web page", &run("cut"), &["web page"]);
    let dir = copy("two");
    std::fs::rename(weights(&dir), dir.join("one.safetensors")).unwrap();
    std::fs::copy(dir.join("one.safetensors"), dir.join("two.safetensors")).unwrap();
    assert_one_line("two files", &run("two"), &["one.safetensors", "two.safetensors"]);

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
        assert_one_line(
            tensor,
            &run(tensor),
            &["open_clip_model.safetensors", &format!("`{tensor}`"), "damaged"],
        );
    }
}

#[test]
fn settings() {
    let here = Workplace::new();
    here.picture("a.png", 20, 20);
    for (args, expected) in [
        (&["--levels", "0"][..], "level 0 does not exist"),
        (&["--levels", "5"], "levels 1 to 4"),
        (&["--image-size", "4"], "less than one patch"),
        (&["--prompts", "no-such"], "no prompt ensemble `no-such`"),
        (&["--anchors", "pca", "--anchor-eps", "1"], "--anchor-eps has no effect with --anchors pca"),
        (&["--anchor-bandwidth", "1"], "--anchor-bandwidth has no effect"),
        (&["--anchors", "kde", "--anchor-bandwidth", "0"], "must be a positive number"),
        (&["--anchors", "dbscan", "--anchor-eps", "0.00001"], "no cluster"),
        (&["--scale", "auto"], "--scale has no effect"),
        (&["--device", "cuda"], "no cuda support"),
    ] {
        assert_one_line(&args.join(" "), &here.detect(&[&["a.png"], args].concat()), &[expected]);
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
        let ran = here.detect(&[&["a.png"], args].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{args:?}");
        assert!(ran.stderr.contains(args[0]), "{args:?}: {}", ran.stderr);
    }
    assert_eq!(here.run(&["detect"]).code, 2);
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
