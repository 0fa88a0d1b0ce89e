//! High resolution: a picture is processed in overlapping squares, whose maps are blended into one.
//!
//! A model sees a picture at a fixed size, so small defects vanish in a large picture. Tiles keep the scale:
//! each is a square of the picture, processed like any picture. [`TileGrid`] computes their positions,
//! [`Blend`] one seamless map from the maps of the tiles.

mod blend;
mod grid;

pub use blend::{Blend, MAX_MAP_PIXELS};
pub use grid::{MAX_TILES, Tile, TileGrid};

use std::fmt;
use std::num::NonZeroUsize;

/// How pictures are covered with tiles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tiling {
    /// Side of the tiles.
    pub side: TileSide,
    /// Smallest overlap of neighbouring tiles.
    pub overlap: Overlap,
}

/// Side of a tile, in pixels of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TileSide {
    /// This many pixels, but at most the picture's shorter side.
    Pixels(NonZeroUsize),
    /// The picture's shorter side: one row or one column of tiles.
    Short,
}

/// Overlap of neighbouring tiles as a share of a tile's side, 0..0.9.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overlap(f64);

impl Overlap {
    /// The largest share: the step to the next tile is then a tenth of a tile.
    pub const MAX: f64 = 0.9;

    /// `None` outside 0..0.9.
    pub fn new(share: f64) -> Option<Self> {
        (0.0..=Self::MAX).contains(&share).then_some(Self(share))
    }

    /// The share.
    pub fn share(self) -> f64 {
        self.0
    }
}

impl Default for Overlap {
    /// A quarter.
    fn default() -> Self {
        Self(0.25)
    }
}

impl fmt::Display for Tiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.side {
            TileSide::Pixels(side) => write!(f, "{side} pixels")?,
            TileSide::Short => write!(f, "the short side")?,
        }
        write!(f, ", overlap {}", self.overlap.share())
    }
}
