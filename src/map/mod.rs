//! Resampling, smoothing and regions of anomaly maps.

mod regions;
mod resample;
mod smooth;

pub use regions::{Region, regions};
pub use resample::{Alignment, bilinear, restore};
pub use smooth::{Sigma, blur, gaussian};
