//! Resampling, smoothing and regions of anomaly maps.

mod components;
mod regions;
mod resample;
mod smooth;

pub use components::{Components, Run, components};
pub use regions::{Region, regions};
pub(crate) use resample::sample;
pub use resample::{Alignment, bilinear, restore};
pub use smooth::{Sigma, blur, gaussian};
