//! Checkpoint readers, on files PyTorch wrote (`tests/reference/make_torch_fixtures.py`) and on damaged ones.

#[path = "../support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};

use aaclip::weights::{StoredType, TensorStore, WeightsError, open};
use candle_core::Device;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/torch").join(name)
}

fn open_fixture(name: &str) -> Box<dyn TensorStore> {
    open(&fixture(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The fixtures' formula.
fn values(count: usize, k: usize) -> Vec<f32> {
    (0..count).map(|i| (((37 * i + 11 * k) % 101) as f32 - 50.0) / 64.0).collect()
}

#[track_caller]
fn assert_tensor(store: &dyn TensorStore, name: &str, dtype: StoredType, shape: &[usize], k: usize) {
    let info = store.info(name).unwrap_or_else(|| panic!("no {name} among {:?}", store.names()));
    assert_eq!((info.dtype, &info.shape[..]), (dtype, shape), "{name}");
    assert_eq!(store.read_f32(name).unwrap(), values(shape.iter().product(), k), "{name}");
}

fn assert_state_dict(store: &dyn TensorStore, prefix: &str) {
    let name = |n: &str| format!("{prefix}{n}");
    assert_tensor(store, &name("visual.conv1.weight"), StoredType::F32, &[2, 3, 2, 2], 0);
    assert_tensor(store, &name("visual.proj"), StoredType::F16, &[4, 3], 1);
    assert_tensor(store, &name("ln_final.bias"), StoredType::Bf16, &[5], 2);
    assert_tensor(store, &name("double"), StoredType::F64, &[3], 3);
    assert_tensor(store, &name("scalar"), StoredType::F32, &[], 4);
    assert_tensor(store, &name("empty"), StoredType::F32, &[0, 3], 5);
    assert_eq!(store.names().len(), 7);
    let error = store.read_f32(&name("steps")).unwrap_err();
    assert!(matches!(&error, WeightsError::Type { found: "i64", .. }), "{error}");
}

#[test]
fn state_dicts_of_both_eras() {
    assert_state_dict(&*open_fixture("state_dict.pt"), "");
    assert_state_dict(&*open_fixture("legacy.pth"), "");
}

#[test]
fn a_wrapped_state_dict_is_unwrapped_and_its_neighbours_are_metadata() {
    let store = open_fixture("nested.pt");
    assert_state_dict(&*store, "module.");
    assert_eq!(store.metadata()["epoch"], "3");
    assert_eq!(store.metadata()["name"], "test");
}

#[test]
fn other_dictionaries_keep_their_names() {
    let store = open_fixture("adapter.pth");
    assert_tensor(&*store, "text_adapter.0.fc.0.weight", StoredType::F32, &[2, 2], 10);
    assert_tensor(&*store, "opt.state.0.exp_avg", StoredType::F32, &[2], 9);
}

#[test]
fn torchscript_archives_have_tensors() {
    let store = open_fixture("scripted.pt");
    assert_tensor(&*store, "positional_embedding", StoredType::F32, &[3, 2], 8);
    for block in 0..2 {
        let name = |part: &str| format!("resblocks.{block}.{part}");
        assert_tensor(&*store, &name("in_proj_weight"), StoredType::F32, &[6, 2], 6);
        assert_tensor(&*store, &name("in_proj_bias"), StoredType::F16, &[6], 7);
    }
    assert_eq!(store.info("input_resolution").unwrap().dtype, StoredType::I64);
    assert_eq!(store.names().len(), 6);
}

#[test]
fn views_share_a_storage() {
    let store = open_fixture("views.pt");
    let whole = values(24, 11);
    assert_eq!(store.read_f32("whole").unwrap(), whole);
    let at = |r: usize, c: usize| whole[r * 6 + c];
    let transposed: Vec<f32> = (0..24).map(|i| at(i % 4, i / 4)).collect();
    assert_eq!(store.read_f32("transposed").unwrap(), transposed);
    assert_eq!(
        store.read_f32("corner").unwrap(),
        [at(1, 2), at(1, 3), at(1, 4), at(2, 2), at(2, 3), at(2, 4)]
    );
    assert_eq!(store.read_f32("column").unwrap(), [at(0, 1), at(1, 1), at(2, 1), at(3, 1)]);
}

#[test]
fn a_pickle_that_wants_to_run_something_is_refused() {
    for name in ["evil.pt", "evil_legacy.pt"] {
        let error = open(&fixture(name)).err().expect("refused");
        assert!(
            matches!(&error, WeightsError::Forbidden { function, .. } if function.ends_with(".system")),
            "{error}"
        );
        assert!(error.to_string().contains("nothing was run"));
    }
    assert!(!Path::new("aaclip-was-here").exists());
}

#[test]
fn values_that_are_not_numbers_are_refused() {
    let store = open_fixture("nan.pt");
    let error = store.read_f32("weight").unwrap_err();
    assert!(matches!(error, WeightsError::NotFinite { index: 1, .. }), "{error}");
    assert!(error.to_string().contains("`weight`"));
}

#[test]
fn a_lab_s_own_sharded_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let tensor = |k| candle_core::Tensor::from_vec(values(4, k), (2, 2), &Device::Cpu).unwrap();
    for (shard, name, k) in [("a-1.safetensors", "one", 1), ("a-2.safetensors", "two", 2)] {
        let tensors = std::collections::HashMap::from([(name, tensor(k))]);
        candle_core::safetensors::save(&tensors, dir.path().join(shard)).unwrap();
    }
    let index = dir.path().join("model.safetensors.index.json");
    let write = |map: &str| std::fs::write(&index, format!(r#"{{"weight_map": {map}}}"#)).unwrap();
    write(r#"{"one": "a-1.safetensors", "two": "a-2.safetensors"}"#);
    let store = open(&index).unwrap();
    assert_tensor(&*store, "one", StoredType::F32, &[2, 2], 1);
    assert_tensor(&*store, "two", StoredType::F32, &[2, 2], 2);
    for (map, expected) in [
        (r#"{"one": "a-3.safetensors"}"#, "which does not exist"),
        (r#"{"two": "a-1.safetensors"}"#, "does not contain tensor `two`"),
        (r#"{"one": "../a-1.safetensors"}"#, "not the name of a shard"),
        (r#"{"one": "/etc/passwd"}"#, "not the name of a shard"),
        (r#"{"one": "model.safetensors.index.json"}"#, "not the name of a shard"),
        (r#"["one"]"#, "not an index of shards"),
    ] {
        write(map);
        let error = open(&index).err().expect(map).to_string();
        assert!(error.contains(expected), "{map}: {error}");
    }
}

#[test]
fn damaged_and_wrong_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let good = std::fs::read(fixture("state_dict.pt")).unwrap();
    let legacy = std::fs::read(fixture("legacy.pth")).unwrap();
    let safe = safetensors(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, &[0; 8]);
    let header = |json: &str| safetensors(json, &[0; 8]);
    let mut long_header = safe.clone();
    long_header[..8].copy_from_slice(&(1u64 << 31).to_le_bytes());
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("empty.safetensors", vec![], "it is empty"),
        ("page.bin", b"<!DOCTYPE html><html>quota</html>".to_vec(), "web page"),
        (
            "pointer.bin",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0".to_vec(),
            "Git-LFS pointer",
        ),
        ("text.pt", b"these are not weights".to_vec(), "not a checkpoint"),
        ("cut.pt", good[..good.len() / 2].to_vec(), "cut off"),
        ("cut_legacy.pth", legacy[..legacy.len() - 9].to_vec(), "cut off"),
        ("cut.safetensors", safe[..safe.len() - 1].to_vec(), "damaged"),
        ("long_header.safetensors", long_header, "damaged"),
        ("no_json.safetensors", header("{nonsense"), "damaged"),
        (
            "overlap.safetensors",
            header(
                r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
            ),
            "damaged",
        ),
        ("shape.safetensors", header(r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#), "damaged"),
        (
            "huge.safetensors",
            header(r#"{"a":{"dtype":"F32","shape":[9223372036854775807,9],"data_offsets":[0,8]}}"#),
            "damaged",
        ),
        ("other.zip", zip_of("readme.txt", b"hi"), "without PyTorch's data.pkl"),
        ("plain.pkl", b"\x80\x04N.".to_vec(), "not one that torch.save writes"),
        ("opcode.pt", zip_of("x/data.pkl", b"\x80\x02\xee."), "unknown opcode 0xee at byte 3"),
        ("stack.pt", zip_of("x/data.pkl", b"\x80\x02R."), "more values than the stack has"),
        ("end.pt", zip_of("x/data.pkl", b"\x80\x02(K\x01"), "the end of the data"),
        ("memo.pt", zip_of("x/data.pkl", b"\x80\x02h\x07."), "never stored"),
        ("number.pt", zip_of("x/data.pkl", b"\x80\x02K\x07."), "contains no tensors"),
        ("cycle.pt", zip_of("x/data.pkl", b"\x80\x02}q\x00U\x01ah\x00s."), "nesting"),
    ];
    for (name, bytes, expected) in cases.into_iter().chain(greedy()) {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = open(&path).err().unwrap_or_else(|| panic!("{name} was accepted")).to_string();
        assert!(error.contains(expected) && error.contains(name) && !error.contains('\n'), "{name}: {error}");
    }
    for (name, expected) in [("no_tensors.pt", "contains no tensors"), ("expanded.pt", "past its storage")] {
        let error = open(&fixture(name)).err().unwrap_or_else(|| panic!("{name} was accepted")).to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
    assert!(matches!(open(dir.path()), Err(WeightsError::Io { .. })));
    assert!(matches!(open(&dir.path().join("gone")), Err(WeightsError::Io { .. })));
}

/// Any change of a few bytes gives tensors or an error: no panic, no hang, no memory beyond the file's size.
#[test]
fn mutated_files_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mutant");
    let mut seed = 0x9E37_79B9_7F4A_7C15u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    let mut accepted = 0;
    for name in ["state_dict.pt", "legacy.pth", "nested.pt", "scripted.pt", "views.pt"] {
        let good = std::fs::read(fixture(name)).unwrap();
        for _ in 0..400 {
            let mut bytes = good.clone();
            for _ in 0..1 + random(4) {
                let at = random(bytes.len());
                match random(3) {
                    0 => bytes[at] = random(256) as u8,
                    1 => bytes.truncate(at.max(1)),
                    _ => bytes[at] ^= 1 << random(8),
                }
            }
            std::fs::write(&path, &bytes).unwrap();
            if let Ok(store) = open(&path) {
                accepted += 1;
                for tensor in store.names() {
                    let _ = store.read_f32(tensor);
                }
            }
        }
    }
    println!("{accepted} of 2000 mutants were accepted");
    assert!(accepted > 0, "some changes hit values or padding only");
}

#[test]
fn checkpoints_of_the_official_code_open_as_they_are() {
    let golden = support::golden();
    let adapters = open(&golden.join("weights/aaclip_adapters.safetensors")).unwrap();
    let linear = open(&golden.join("weights/clipad_linear.safetensors")).unwrap();
    assert!(!adapters.names().is_empty() && !linear.names().is_empty());
    let mut files = 0;
    for case in ["aaclip_train", "clipad_sdp_plus"] {
        for entry in std::fs::read_dir(golden.join(case).join("official_ckpt")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "pth") {
                let store = open(&path).unwrap_or_else(|e| panic!("{e}"));
                for name in store.names().into_iter().filter(|n| n.ends_with("weight")) {
                    store.read_f32(name).unwrap();
                }
                println!("{}: {} tensors, {:?}", path.display(), store.names().len(), store.metadata());
                files += 1;
            }
        }
    }
    assert!(files >= 2);
}

#[test]
fn half_and_full_precision_hold_the_same_golden_values() {
    let golden = support::golden();
    let path = golden.join("weights/clip_f16.safetensors");
    let (full, half) = (support::full_precision(&path), open(&path).unwrap());
    assert_eq!(full.len(), half.names().len());
    for name in half.names() {
        assert_eq!(half.info(name).unwrap().dtype, StoredType::F16);
        let expected: Vec<f32> = full[name].flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(half.read_f32(name).unwrap(), expected, "{name}");
    }
}

/// Small pickles that ask for much memory or time.
fn greedy() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let text = |n: u32| [&b"X"[..], &n.to_le_bytes(), &vec![b'a'; n as usize]].concat();
    // A name of 128 KiB, put together again and again from the same two halves.
    let names = [&b"\x80\x02"[..], &text(1 << 16), b"q\0", &b"h\0h\0\x930".repeat(1000), b"."].concat();
    // A list of pairs, made into a dictionary again and again.
    let list = [&b"U\x01aK\0\x86q\0]("[..], &b"h\0".repeat(10_000), b"eq\x01"].concat();
    let copy = b"ccollections\nOrderedDict\nh\x01\x85R0";
    let dicts = [&b"\x80\x02"[..], &list, &copy.repeat(1000), b"."].concat();
    let steps = [&b"\x80\x02"[..], &vec![b'N'; 9 << 20], b"."].concat();
    // A dictionary of many entries without a name, at many names.
    let wide = [&b"}("[..], &b"NN".repeat(3000), b"uq\0"].concat();
    let many: Vec<u8> = (0..3000u16).flat_map(|i| [&b"M"[..], &i.to_le_bytes(), b"h\0"].concat()).collect();
    let visits = [&b"\x80\x02"[..], &wide, b"}(", &many, b"u."].concat();
    vec![
        ("names.pt", zip_of("x/data.pkl", &names), "more copies"),
        ("dicts.pt", zip_of("x/data.pkl", &dicts), "more copies"),
        ("steps.pt", zip_of("x/data.pkl", &steps), "more steps"),
        ("visits.pt", zip_of("x/data.pkl", &visits), "nesting"),
        ("shared.pt", views_of(20_000, 200), "tensors overlap"),
        ("sides.pt", views_of(0, 1), "past its storage"),
    ]
}

/// An archive with one storage of `count` numbers, and `tensors` tensors of all of them; of none if there are none, and
/// then with two further sides whose product exceeds any memory.
fn views_of(count: u16, tensors: u16) -> Vec<u8> {
    use std::io::Write;
    let side = [&b"\x8a\x06"[..], &(1u64 << 40).to_le_bytes()[..6]].concat();
    let (shape, strides) = match count {
        0 => ([&b"(K\0"[..], &side, &side, b"t"].concat(), &b"(K\x01K\x01K\x01t"[..]),
        n => ([&b"(M"[..], &n.to_le_bytes(), b"t"].concat(), &b"(K\x01t"[..]),
    };
    let storage =
        [&b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuM"[..], &count.to_le_bytes(), b"tQ"].concat();
    let mut pickle = b"\x80\x02}".to_vec();
    for i in 0..tensors {
        pickle.extend([&b"M"[..], &i.to_le_bytes(), b"ctorch._utils\n_rebuild_tensor_v2\n("].concat());
        pickle.extend([&storage[..], b"K\0", &shape, strides, b"tRs"].concat());
    }
    pickle.push(b'.');
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, content) in [("x/data.pkl", &pickle[..]), ("x/data/0", &vec![0; 4 * usize::from(count)])] {
        zip.start_file(name, stored).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

/// A zip archive of one uncompressed entry.
fn zip_of(name: &str, content: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file(name, stored).unwrap();
    zip.write_all(content).unwrap();
    zip.finish().unwrap().into_inner()
}
