//! What the fuzz targets run: shared with `tests/fuzz`, which runs it over the committed seeds in `cargo test`.

#[path = "../../tests/fuzz/bodies/mod.rs"]
pub mod bodies;
