//! Masks and layouts of data sets, as people keep them.

use std::path::{Path, PathBuf};

use image::{GrayImage, ImageBuffer, Luma, Rgba};
use serde_json::Value;

use crate::{Ran, Workplace, support};

const SIDE: u32 = 48;

/// Writes a mask.
type Write<'a> = &'a dyn Fn(&Path);

/// A case, further arguments, a part of stderr, the exit code and the pixel AUROC.
type Row<'a> = (&'a str, &'a [&'a str], &'a str, i32, Option<f64>);

/// Whether a pixel is damaged: a region off the centre, so that a turned mask lies elsewhere.
fn damaged(x: u32, y: u32) -> bool {
    (4..16).contains(&x) && (6..14).contains(&y)
}

/// Two good and two damaged parts; the masks are made by `mask` and have its ending.
fn parts(mask: impl Fn(&Path), ending: &str) -> Workplace {
    let here = Workplace::new();
    for i in 0..2 {
        here.picture(&format!("part/test/good/{i}.png"), SIDE, SIDE);
        here.picture(&format!("part/test/dent/{i}.png"), SIDE, SIDE);
        let path = here.path(format!("part/ground_truth/dent/{i}_mask.{ending}"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        mask(&path);
    }
    here
}

fn eval(here: &Workplace, arguments: &[&str]) -> Ran {
    let model = support::tiny_model().to_str().unwrap();
    here.run(&[&["eval", "part", "--model", model, "--format", "json"], arguments].concat())
}

/// The pixel figures of a run.
fn figures(ran: &Ran) -> Vec<Value> {
    ["pixel_auroc", "pixel_ap", "pixel_f1_max", "pixel_pro"]
        .map(|key| ran.json()["mean"][key].clone())
        .to_vec()
}

fn grey(path: &Path) {
    GrayImage::from_fn(SIDE, SIDE, |x, y| Luma([if damaged(x, y) { 255 } else { 0 }])).save(path).unwrap();
}

/// The content of an array file: a header in NumPy's form, and the values in their order.
fn npy(descr: &str, by_columns: bool, set: &[u8], size: usize) -> Vec<u8> {
    let order = if by_columns { "True" } else { "False" };
    let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({SIDE}, {SIDE}), }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    for slow in 0..SIDE {
        for fast in 0..SIDE {
            let (x, y) = if by_columns { (slow, fast) } else { (fast, slow) };
            bytes.extend(if damaged(x, y) { set.to_vec() } else { vec![0; size] });
        }
    }
    bytes
}

#[test]
fn a_mask_is_what_is_not_zero_whatever_its_file() {
    let expected = figures(&eval(&parts(grey, "png"), &[]).ok());
    assert!(expected.iter().all(|figure| figure.as_f64().is_some()), "{expected:?}");
    let wide = |path: &Path| {
        let mask = ImageBuffer::from_fn(SIDE, SIDE, |x, y| Luma([u16::from(damaged(x, y))]));
        mask.save(path).unwrap();
    };
    let colour = |path: &Path| {
        let mask = ImageBuffer::from_fn(SIDE, SIDE, |x, y| image::Rgb([0, 0, u16::from(damaged(x, y))]));
        mask.save(path).unwrap();
    };
    let low = |path: &Path| {
        GrayImage::from_fn(SIDE, SIDE, |x, y| Luma([u8::from(damaged(x, y))])).save(path).unwrap();
    };
    let kinds: [(Write<'_>, &str); 4] = [(&wide, "png"), (&wide, "tif"), (&colour, "png"), (&low, "bmp")];
    for (mask, ending) in kinds {
        for range in ["auto", "reference"] {
            let ran = eval(&parts(mask, ending), &["--range", range]).ok();
            assert_eq!((figures(&ran), ran.stderr.as_str()), (expected.clone(), ""), "{ending} {range}");
        }
    }
    let arrays: [(&str, &[u8]); 9] = [
        ("|b1", &[1]),
        ("|u1", &[7]),
        ("<u2", &[0, 1]),
        (">u2", &[0, 1]),
        ("<i4", &[255; 4]),
        ("<i8", &[1, 0, 0, 0, 0, 0, 0, 0]),
        ("<f4", &1f32.to_le_bytes()),
        (">f4", &0.5f32.to_be_bytes()),
        ("<f8", &1e-9f64.to_le_bytes()),
    ];
    for (descr, set) in arrays {
        for by_columns in [false, true] {
            let write = |path: &Path| std::fs::write(path, npy(descr, by_columns, set, set.len())).unwrap();
            let here = parts(write, "npy");
            assert_eq!(figures(&eval(&here, &[]).ok()), expected, "{descr} {by_columns}");
            here.run(&["data", "check", "part"]).ok();
        }
    }
}

#[test]
fn masks_in_alpha_and_in_jpeg_are_read_with_a_warning() {
    let expected = figures(&eval(&parts(grey, "png"), &[]).ok());
    let alpha = |path: &Path| {
        let pixel = |x, y| Rgba([255, 255, 255, if damaged(x, y) { 255u8 } else { 0 }]);
        ImageBuffer::from_fn(SIDE, SIDE, pixel).save(path).unwrap();
    };
    let opaque = |path: &Path| {
        let pixel = |x, y| if damaged(x, y) { Rgba([255, 255, 255, 255u8]) } else { Rgba([0, 0, 0, 255]) };
        ImageBuffer::from_fn(SIDE, SIDE, pixel).save(path).unwrap();
    };
    let kinds: [(Write<'_>, &str, &str); 3] = [
        (&alpha, "png", "mask in alpha: part/ground_truth/dent/0_mask.png"),
        (&opaque, "png", ""),
        (&grey, "jpg", "pixels above 127, half of the largest value, count as damaged; 2 such masks"),
    ];
    for (mask, ending, warning) in kinds {
        let here = parts(mask, ending);
        let ran = eval(&here, &[]).ok();
        assert_eq!(figures(&ran), expected, "{ending} {warning}");
        assert!(
            ran.stderr.contains(warning) && ran.stderr.is_empty() == warning.is_empty(),
            "{}",
            ran.stderr
        );
        assert_eq!(
            ran.json()["about"]["warnings"].as_array().unwrap().len(),
            usize::from(!warning.is_empty())
        );
        let check = here.run(&["data", "check", "part"]).ok().stdout;
        assert!(check.contains(warning), "{check}");
    }
}

#[test]
fn empty_and_unreadable_masks_are_named_counted_and_an_error() {
    let empty = parts(|path| GrayImage::new(SIDE, SIDE).save(path).unwrap(), "png");
    let ran = eval(&empty, &[]);
    assert_eq!(ran.code, 2);
    for part in ["0_mask.png: every pixel is 0", "1_mask.png: every pixel is 0", "2 problems: empty mask 2"] {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
    let zeros = parts(|path| std::fs::write(path, npy("<f4", false, &[0, 0, 0, 0x80], 4)).unwrap(), "npy");
    let (ran, check) = (eval(&zeros, &[]), zeros.run(&["data", "check", "part"]));
    assert!(ran.code == 2 && ran.stderr.contains("empty mask 2") && check.stdout.contains("empty mask"));
    let whole = npy("<u2", false, &[1, 0], 2);
    let shape = whole.windows(8).position(|text| text == b"(48, 48)").unwrap();
    let mut one_row = whole.clone();
    one_row[shape..shape + 8].copy_from_slice(b"(2304, )");
    let bad: [(&str, Vec<u8>); 5] = [
        ("the file ends before its last value", whole[..whole.len() - 1].to_vec()),
        ("expected Booleans, integers or floats", npy("<U1", false, &[1, 0, 0, 0], 4)),
        ("its header is damaged or cut off", whole[..40].to_vec()),
        ("it has 1 dimensions, expected 2", one_row),
        ("is not a picture", b"text".to_vec()),
    ];
    for (reason, bytes) in bad {
        let here = parts(|path| std::fs::write(path, &bytes).unwrap(), "npy");
        let (ran, check) = (eval(&here, &[]), here.run(&["data", "check", "part"]));
        assert!(ran.code == 2 && ran.stderr.contains(reason), "{reason}: {}", ran.stderr);
        assert!(check.code == 2 && check.stdout.contains("unreadable mask"), "{}", check.stdout);
    }
}

/// A JPEG with an EXIF orientation, from one without.
fn turned(path: &Path, orientation: u8) {
    let jpeg = std::fs::read(path).unwrap();
    let exif = [
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".as_slice(),
        &[orientation, 0, 0, 0, 0, 0, 0],
    ]
    .concat();
    let length = (exif.len() as u16 + 2).to_be_bytes();
    let whole = [&jpeg[..2], &[0xFF, 0xE1], &length, &exif, &jpeg[2..]].concat();
    std::fs::write(path, whole).unwrap();
}

#[test]
fn masks_drawn_in_the_grid_of_turned_pictures() {
    let turned_parts = |width: u32, height: u32, mask: (u32, u32)| {
        let here = Workplace::new();
        for i in 0..2 {
            for kind in ["good", "dent"] {
                turned(&here.picture(&format!("part/test/{kind}/{i}.jpg"), width, height), 6);
            }
            let path = here.path(format!("part/ground_truth/dent/{i}_mask.png"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let mask = GrayImage::from_fn(mask.0, mask.1, |x, y| Luma([if damaged(x, y) { 255 } else { 0 }]));
            mask.save(path).unwrap();
        }
        here
    };
    // Square: the size does not tell. Else a mask of the stored size lies wrong, one of the upright size does not.
    for (width, height, mask, is_doubtful) in
        [(SIDE, SIDE, (SIDE, SIDE), true), (60, 40, (60, 40), true), (60, 40, (40, 60), false)]
    {
        let here = turned_parts(width, height, mask);
        let (ran, check) = (eval(&here, &[]), here.run(&["data", "check", "part"]));
        let warning = "is turned by its EXIF orientation, the mask is not";
        assert_eq!(ran.stderr.contains(warning), is_doubtful, "{}", ran.stderr);
        assert_eq!(ran.stderr.contains("--orientation ignore"), is_doubtful);
        assert_eq!(check.stdout.contains(warning), is_doubtful, "{}", check.stdout);
        let ignored = eval(&here, &["--orientation", "ignore", "-o", "stored"]).ok();
        assert_eq!(ignored.stderr, "");
        assert_eq!(figures(&ignored) == figures(&ran), !is_doubtful && width == height);
    }
    let here = turned_parts(60, 40, (60, 40));
    assert!(here.run(&["data", "check", "part"]).stdout.contains("odd size"));
    here.run(&["data", "check", "part", "--orientation", "ignore"]).ok();
    let size = |flag: &str| {
        here.detect(&["part/test/good/0.jpg", "--orientation", flag, "--format", "json"]).ok().json()
    };
    assert_eq!(
        (size("apply")["size"]["width"].clone(), size("ignore")["size"]["width"].clone()),
        (40.into(), 60.into())
    );
}

#[test]
fn loco_and_real_iad_are_read() {
    let here = Workplace::new();
    for name in ["test/good/0.png", "test/logical_anomalies/0.png", "test/structural_anomalies/0.png"] {
        here.picture(&format!("part/{name}"), SIDE, SIDE);
    }
    // Two defects, each with a mask and a value of its own: together the region of `damaged`.
    for (name, part, value) in [
        ("logical_anomalies/0/000", 0, 236),
        ("logical_anomalies/0/001", 1, 255),
        ("structural_anomalies/0/000", 2, 1),
    ] {
        let path = here.path(format!("part/ground_truth/{name}.png"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let inside = |x: u32, y: u32| damaged(x, y) && (part == 2 || (x < 10) == (part == 0));
        GrayImage::from_fn(SIDE, SIDE, |x, y| Luma([if inside(x, y) { value } else { 0 }]))
            .save(path)
            .unwrap();
    }
    let config = r#"[{"defect_name": "x", "pixel_value": 236, "saturation_threshold": 1.0, "relative_saturation": true}]"#;
    std::fs::write(here.path("part/defects_config.json"), config).unwrap();
    let check = here.run(&["data", "check", "."]).ok().stdout;
    assert!(check.contains("mvtec-loco") && check.contains("no problem"), "{check}");
    let loco = figures(&eval(&here, &[]).ok());
    let single = Workplace::new();
    for name in ["test/good/0.png", "test/a/0.png", "test/b/0.png"] {
        single.picture(&format!("part/{name}"), SIDE, SIDE);
    }
    for kind in ["a", "b"] {
        let path = single.path(format!("part/ground_truth/{kind}/0_mask.png"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        grey(&path);
    }
    assert_eq!(loco, figures(&eval(&single, &[]).ok()));
    // A missing folder of masks, and one without a picture.
    std::fs::rename(
        here.path("part/ground_truth/logical_anomalies/0"),
        here.path("part/ground_truth/logical_anomalies/9"),
    )
    .unwrap();
    let check = here.run(&["data", "check", ".", "--json"]);
    let kinds: Vec<_> =
        check.json()["problems"].as_array().unwrap().iter().map(|p| p["kind"].clone()).collect();
    assert_eq!(
        (check.code, kinds),
        (2, vec!["orphan_mask".into(), "orphan_mask".into(), "missing_mask".into()])
    );

    let here = Workplace::new();
    for name in ["OK/S0/a.jpg", "NG/S0/b.jpg", "NG/S0/c.jpg"] {
        here.picture(&format!("part/jack/{name}"), SIDE, SIDE);
    }
    grey(&here.path("part/jack/NG/S0/b.png"));
    let entry = |kind: &str, image: &str, mask: &str| {
        format!(
            r#"{{"category": "jack", "anomaly_class": "{kind}", "image_path": "{image}", "mask_path": {mask}}}"#
        )
    };
    let test = [
        entry("OK", "OK/S0/a.jpg", "null"),
        entry("AK", "NG/S0/b.jpg", r#""NG/S0/b.png""#),
        entry("AK", "NG/S0/c.jpg", r#""NG/S0/c.png""#),
        "{}".to_owned(),
    ];
    let list = format!(
        r#"{{"meta": {{"prefix": "jack/", "normal_class": "OK"}}, "train": [], "test": [{}]}}"#,
        test.join(", ")
    );
    std::fs::write(here.path("part/jack.json"), list).unwrap();
    for root in ["part", "part/jack.json"] {
        let check = here.run(&["data", "check", root, "--json"]);
        let found = check.json();
        assert_eq!((check.code, &found["layout"]), (2, &"real-iad".into()), "{}", check.stdout);
        let kinds: Vec<_> = found["problems"].as_array().unwrap().iter().map(|p| p["kind"].clone()).collect();
        assert_eq!(kinds, ["missing_mask", "bad_line"]);
        assert_eq!((&found["total"]["good"], &found["total"]["masks"]), (&1.into(), &1.into()));
    }
}

fn case(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/cases/datasets").join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    support::skip(&format!("{} does not exist", folder.display()));
    None
}

/// The rows of the cases beside the repository: the part of stderr that must be there, the exit code, and the pixel AUROC
/// in percent of the built-in model, if there is one.
#[test]
fn the_data_sets_of_the_cases() {
    let rows: [Row<'_>; 9] = [
        ("m_u16", &["--range", "full"], "", 0, Some(99.2)),
        ("m_empty", &[], "3 problems: empty mask 3", 2, None),
        ("m_npy", &[], "3 problems: empty mask 3", 2, None),
        ("others", &[], "902.PNG.bak", 2, Some(97.6)),
        ("m_jpg", &[], "lossy mask", 0, Some(99.2)),
        ("m_rgba", &[], "mask in alpha", 0, Some(99.2)),
        ("x_exif6", &[], "--orientation ignore", 0, Some(62.4)),
        ("x_exif6", &["--orientation", "ignore"], "", 0, Some(99.2)),
        ("loco", &[], "sPRO", 0, Some(86.7)),
    ];
    for (name, arguments, said, code, auroc) in rows {
        let Some(folder) = case(name) else { return };
        let here = Workplace::new();
        let ran = here.run(&[&["eval", folder.to_str().unwrap(), "--format", "json"], arguments].concat());
        assert!(ran.code == code && ran.stderr.contains(said), "{name}: {} {}", ran.code, ran.stderr);
        assert_eq!(ran.stderr.is_empty(), said.is_empty(), "{name}: {}", ran.stderr);
        let found = ran.json()["mean"]["pixel_auroc"].as_f64().map(|v| (v * 1000.0).round() / 10.0);
        assert_eq!(found, auroc, "{name}");
    }
    let Some(folder) = case("realiad") else { return };
    let ran = Workplace::new().run(&["eval", folder.to_str().unwrap(), "--format", "json"]).ok();
    assert!(ran.json()["mean"]["pixel_auroc"].as_f64().is_some());
}
