use std::path::Path;

use aaclip::image::{DecodeOptions, decode_bytes};

/// The scans of a JPEG file with right headers: eight bytes say which, the others follow the header of the first scan.
pub fn jpeg(data: &[u8]) {
    let Some((&[kind, width, height, restart, factors @ ..], scans)) = data.split_first_chunk::<8>() else {
        return;
    };
    let components = [1, 3, 4][usize::from(kind % 3)];
    let progressive = kind & 0x80 != 0;
    let (width, height) = (usize::from(width) + 1, usize::from(height) + 1);
    let mut file = b"\xFF\xD8\xFF\xDB\0\x43\0".to_vec();
    file.extend([3; 64]);
    file.extend([0xFF, 0xDD, 0, 4, 0, restart]);
    let sides = [(height as u16).to_be_bytes(), (width as u16).to_be_bytes()].concat();
    file.extend([0xFF, if progressive { 0xC2 } else { 0xC0 }, 0, 8 + 3 * components, 8]);
    file.extend(sides);
    file.push(components);
    for (id, factor) in (1..=components).zip(factors) {
        // 1, 2, 3 or 4 across and down.
        file.extend([id, (factor & 0x33) + 0x11, 0]);
    }
    file.extend([0xFF, 0xDA, 0, 6 + 2 * components, components]);
    (1..=components).for_each(|id| file.extend([id, u8::from(id > 1) * 0x11]));
    file.extend([0, if progressive { 0 } else { 63 }, 0]);
    file.extend(scans);
    file.extend([0xFF, 0xD9]);
    if let Ok(picture) = decode_bytes(&file, Path::new("x.jpg"), &DecodeOptions::default()) {
        assert_eq!((picture.width(), picture.height()), (width, height));
        assert_eq!(picture.samples().len(), width * height * picture.mode().channels());
        // The end mark is not needed, and its absence is said.
        file.truncate(file.len() - 2);
        if let Ok(open) = decode_bytes(&file, Path::new("x.jpg"), &DecodeOptions::default()) {
            assert!(!open.decoding().warnings().is_empty());
        }
    }
}
