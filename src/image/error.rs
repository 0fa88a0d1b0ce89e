//! The reasons why a picture cannot be used.

use std::path::PathBuf;

/// The reason why a picture cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The picture.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is empty.
    #[error("{} is empty", path.display())]
    Empty {
        /// The picture.
        path: PathBuf,
    },
    /// The content is not in a supported picture format; the file name is ignored.
    #[error("{} is not a picture: its content is not PNG, JPEG, WebP, BMP, TIFF, GIF or PNM", path.display())]
    NotAPicture {
        /// The file.
        path: PathBuf,
    },
    /// The content is in a picture format that is known and not supported.
    #[error("{} is not read: it is {format}; convert it to PNG or TIFF", path.display())]
    NotRead {
        /// The file.
        path: PathBuf,
        /// The format of its content.
        format: &'static str,
    },
    /// The picture has more pixels or bytes than the limits allow.
    #[error(
        "{} is too large: {width} x {height} pixels ({megapixels} megapixels); at most {allowed} megapixels are \
         allowed: raise --max-megapixels to accept it",
        path.display()
    )]
    TooLarge {
        /// The picture.
        path: PathBuf,
        /// Its width in pixels.
        width: u32,
        /// Its height in pixels.
        height: u32,
        /// Its size in millions of pixels, rounded up.
        megapixels: u64,
        /// The limit in millions of pixels.
        allowed: u64,
    },
    /// The file is too large to decode.
    #[error("{} is too large: {bytes} bytes; at most {allowed} bytes are allowed", path.display())]
    FileTooLarge {
        /// The picture.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit.
        allowed: u64,
    },
    /// A pipe, a device or a folder; reading it might never end.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The content is damaged, cut off or uses an unsupported feature.
    #[error("{} is damaged or not supported ({format}): {reason}", path.display())]
    Damaged {
        /// The picture.
        path: PathBuf,
        /// The format of its content.
        format: &'static str,
        /// The decoder's reason.
        reason: String,
    },
    /// A picture without pixels, or an input size of 0.
    #[error("a picture of {width} x {height} pixels cannot become a square of {size}")]
    NoPixels {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// Side of the square.
        size: usize,
    },
}

impl ImageError {
    /// The kind of problem in one word, for programs that read records.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Io { .. } | Self::NotAFile { .. } => "unreadable",
            Self::Empty { .. } => "empty",
            Self::NotAPicture { .. } | Self::NotRead { .. } => "not_a_picture",
            Self::TooLarge { .. } | Self::FileTooLarge { .. } => "too_large",
            Self::Damaged { .. } => "damaged",
            Self::NoPixels { .. } => "no_pixels",
        }
    }
}
