//! From a picture file to the input tensor of the vision tower.
//!
//! Decoding has limits. Resampling equals Pillow's bit for bit, because the models' scores depend on it.

mod decode;
mod decoding;
mod error;
mod foreign;
mod geometry;
mod in_flight;
mod jpeg;
mod mask;
mod mask_file;
mod mode;
mod names;
mod npy;
mod orientation;
mod paged;
mod pnm;
mod preprocess;
mod resample;
mod tiff;
mod wide;

pub use decode::{
    DecodeLimits, DecodeOptions, Head, OrientationRule, Picture, PictureFile, decode, decode_bytes, head,
    read,
};
pub use decoding::Decoding;
pub use error::ImageError;
pub use geometry::{AxisMap, Geometry};
pub use in_flight::{read_within, share_of};
pub use mask::Mask;
pub use mask_file::{MaskFile, is_array_name, mask_of, read_mask, read_masks};
pub use mode::PixelMode;
pub use names::{PICTURE_ENDINGS, is_picture_name};
pub use preprocess::{Chain, Fit, Prepared, Preprocess};
pub(crate) use resample::keys_cubic;
pub use resample::{Filter, Samples, resize};
pub use wide::{SampleKind, SampleRange};
