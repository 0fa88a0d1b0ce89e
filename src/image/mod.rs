//! From a picture file to the input tensor of the vision tower.
//!
//! Decoding has limits. Resampling equals Pillow's bit for bit, because the models' scores depend on it.

mod decode;
mod decoding;
mod error;
mod geometry;
mod mask;
mod mode;
mod names;
mod preprocess;
mod resample;

pub use decode::{DecodeLimits, DecodeOptions, Gray16, Picture, PictureFile, decode, decode_bytes, read};
pub use decoding::Decoding;
pub use error::ImageError;
pub use geometry::{AxisMap, Geometry};
pub use mask::Mask;
pub use mode::PixelMode;
pub use names::{PICTURE_ENDINGS, is_picture_name};
pub use preprocess::{Chain, Fit, Prepared, Preprocess};
pub(crate) use resample::keys_cubic;
pub use resample::{Filter, Samples, resize};
