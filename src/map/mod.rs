//! Resampling, smoothing and regions of anomaly maps.

mod components;
mod evidence;
mod grey;
mod range;
mod regions;
mod resample;
mod smooth;

pub use components::{ConnectedComponents, Run, components};
pub(crate) use evidence::sigmoid;
pub use evidence::{Curve, Evidence, PatchGrid, Smoothing, final_map, smooth_blend, tile_map};
pub use grey::GreyMap;
pub use range::MapRange;
pub(crate) use regions::regions_by_rows;
pub use regions::{Region, regions};
pub(crate) use resample::bilinear_rows;
pub(crate) use resample::sample;
pub use resample::{Alignment, bilinear, restore};
pub use smooth::{Sigma, blur, gaussian};
