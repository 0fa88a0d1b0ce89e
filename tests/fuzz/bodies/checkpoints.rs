use std::path::Path;

use aaclip::weights;

use super::scratch;

/// Opens a checkpoint and reads every tensor of it: the values have the announced shape.
fn read(path: &Path) {
    let Ok(store) = weights::open(path) else { return };
    for name in store.names() {
        let info = store.info(name).expect("a tensor that is listed");
        if let Ok(values) = store.read_unchecked(name) {
            assert_eq!(Some(values.len()), info.shape.iter().try_fold(1usize, |n, &s| n.checked_mul(s)));
        }
        if let Ok(values) = store.read_f32(name) {
            assert!(values.iter().all(|v| v.is_finite()));
        }
    }
}

/// A PyTorch archive: a state dict or TorchScript.
pub fn archive(data: &[u8]) {
    read(&scratch::file("x.pt", data));
}

/// The start of a file of PyTorch before version 1.6: magic number, protocol 1001, an empty system.
const LEGACY: &[u8] =
    b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.";

/// A pickle, and the data after it in an old PyTorch file.
pub fn pickle(data: &[u8]) {
    let whole = data.starts_with(&LEGACY[..14]);
    read(&scratch::file("x.pth", &if whole { data.to_vec() } else { [LEGACY, data].concat() }));
}

/// A safetensors file; one that does not begin like that is the JSON header of one with some values.
pub fn safetensors(data: &[u8]) {
    if !data.starts_with(b"{") {
        return read(&scratch::file("x.safetensors", data));
    }
    let header = (data.len() as u64).to_le_bytes();
    read(&scratch::file("x.safetensors", &[&header, data, &[0x3c; 256]].concat()));
}

/// The index of a checkpoint in two files.
pub fn shards(data: &[u8]) {
    let shard = |tensor: &str| {
        let header = format!(r#"{{"{tensor}":{{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}}}"#);
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0x3c; 8]].concat()
    };
    for name in ["a", "b"] {
        scratch::file(&format!("shards/{name}.safetensors"), &shard(name));
    }
    read(&scratch::file("shards/model.safetensors.index.json", data));
}
