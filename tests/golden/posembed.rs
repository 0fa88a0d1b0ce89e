//! Position embeddings resized by both reference repositories.

use aaclip::clip::positions;

use crate::support::{assert_close, tensors};

#[test]
fn resized_position_embeddings_match() {
    let golden = tensors("posembed");
    let mut checked = 0;
    for (name, input) in &golden {
        let Some(sizes) = name.strip_prefix("in_") else { continue };
        let grid: usize = sizes.split_once("to").unwrap().1.parse().unwrap();
        let found = positions::resize(input, (grid, grid), positions::Resampling::Antialiased).unwrap();
        assert_close(name, &found, &golden[&format!("out_{sizes}")], 5e-6);
        checked += 1;
    }
    assert_eq!(checked, 6);
}
