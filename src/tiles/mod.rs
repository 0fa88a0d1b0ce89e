//! High resolution: a picture looked at in overlapping squares, whose maps are blended into one.
//!
//! A model sees a picture at a fixed size, so in a large picture a small defect shrinks to nothing. Tiles keep the
//! scale: each is a square cut from the picture as it is, and takes the way of any picture. [`TileGrid`] says where
//! they lie, [`Blend`] makes one map of theirs, on which nothing shows where they met.

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
    /// How much of a tile its neighbour sees too, at least.
    pub overlap: Overlap,
}

/// Side of a tile, in pixels of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TileSide {
    /// That many pixels, or the picture's shorter side where that is less.
    Pixels(NonZeroUsize),
    /// The picture's shorter side: one row of tiles, or one column.
    Short,
}

/// Share of a tile's side that its neighbour sees too, 0..0.9.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overlap(f64);

impl Overlap {
    /// The largest share: each step to the next tile then is a tenth of a tile.
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
