//! What several test binaries share.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

/// The folder of golden cases: `AACLIP_GOLDEN`, else `../shared/golden/public` beside the repository.
///
/// `None`, said loudly, where there is none: the tests that need it then pass without having checked anything.
pub fn golden() -> Option<PathBuf> {
    resource("AACLIP_GOLDEN", "../shared/golden/public")
}

/// The folder of real pictures: `AACLIP_MVTEC`, else `../shared/mvtec` beside the repository.
pub fn mvtec() -> Option<PathBuf> {
    resource("AACLIP_MVTEC", "../shared/mvtec")
}

fn resource(variable: &str, default: &str) -> Option<PathBuf> {
    let dir = std::env::var_os(variable)
        .map(PathBuf::from)
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(default));
    if dir.is_dir() {
        return Some(dir);
    }
    eprintln!("SKIPPED: {} does not exist; set {variable} to run this test", dir.display());
    None
}
