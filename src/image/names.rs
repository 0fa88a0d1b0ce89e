//! The file names of pictures in a searched folder.

use std::path::Path;

/// Endings of picture files, in lower case. They do not apply to files given by name.
pub const PICTURE_ENDINGS: [&str; 14] =
    ["png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff", "btf", "tf8", "gif", "pbm", "pgm", "ppm", "pnm"];

/// Whether the ending of `path` is one of [`PICTURE_ENDINGS`], in any case.
pub fn is_picture_name(path: &Path) -> bool {
    path.extension()
        .and_then(|e| e.to_str())
        .is_some_and(|e| PICTURE_ENDINGS.iter().any(|ending| e.eq_ignore_ascii_case(ending)))
}
