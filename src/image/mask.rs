//! Ground-truth masks at the model's size, the way each reference makes them.

use super::resample::{Filter, Samples, resize};

/// A square of zeros and ones, row by row.
pub type Mask = Vec<bool>;

/// AA-CLIP's masks: nearest sample, then everything that is not 0. `grey` has one channel.
pub fn resize_mask_nearest(grey: &Samples, size: usize) -> Mask {
    resize(grey, size, size, Filter::Nearest).values.into_iter().map(|v| v != 0).collect()
}

/// CLIP-AD's masks: everything that is not 0 becomes 255, an antialiased bilinear resize, then what is above one
/// half. `grey` has one channel.
pub fn resize_mask_bilinear(grey: &Samples, size: usize) -> Mask {
    let binary =
        Samples { values: grey.values.iter().map(|&v| if v > 0 { 255 } else { 0 }).collect(), ..*grey };
    resize(&binary, size, size, Filter::Bilinear).values.into_iter().map(|v| v > 127).collect()
}
