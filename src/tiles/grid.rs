//! The positions of a picture's tiles.

use super::{Overlap, TileSide, Tiling};
use crate::{Error, Result};

/// Largest number of tiles of a picture. Each tile costs as much as a picture, so a small `--tile` could
/// otherwise take days.
pub const MAX_TILES: usize = 1024;

/// Equal squares that cover a picture: every column of tiles crossed with every row, evenly spaced, the first
/// and the last at the picture's borders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TileGrid {
    width: usize,
    height: usize,
    side: usize,
    columns: Vec<usize>,
    rows: Vec<usize>,
}

/// One square of a picture, in pixels of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// Left edge.
    pub x: usize,
    /// Upper edge.
    pub y: usize,
    /// Width and height.
    pub side: usize,
    /// Column of tiles, from 0.
    pub column: usize,
    /// Row of tiles, from 0.
    pub row: usize,
}

impl TileGrid {
    /// The smallest grid of tiles that covers a picture with at least the wanted overlap.
    ///
    /// # Errors
    /// The picture has no pixels or needs more than [`MAX_TILES`].
    pub fn new(tiling: &Tiling, width: usize, height: usize) -> Result<Self> {
        let short = width.min(height);
        if short == 0 {
            return Err(Error::Setting(format!("a picture of {width} x {height} pixels has no tiles")));
        }
        let side = match tiling.side {
            TileSide::Pixels(side) => side.get().min(short),
            TileSide::Short => short,
        };
        let step = step(side, tiling.overlap);
        let count = |length: usize| 1 + (length - side).div_ceil(step);
        let tiles = count(width).saturating_mul(count(height));
        if tiles > MAX_TILES {
            return Err(Error::Setting(format!(
                "a picture of {width} x {height} pixels needs {tiles} tiles of {side} x {side} with overlap {}, \
                 at most {MAX_TILES} are allowed: {}",
                tiling.overlap.share(),
                match tiling.side {
                    TileSide::Pixels(wanted) if wanted.get() <= short => "use larger tiles or less overlap",
                    _ => "it is too narrow to be covered with squares",
                }
            )));
        }
        let starts = |length: usize| {
            let (last, count) = (length - side, count(length));
            (0..count).map(|i| i * last / (count - 1).max(1)).collect()
        };
        Ok(Self { width, height, side, columns: starts(width), rows: starts(height) })
    }

    /// Width and height of the picture, in pixels.
    pub fn picture(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Side of every tile, in pixels of the picture.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Left edges of the columns.
    pub fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// Upper edges of the rows.
    pub fn rows(&self) -> &[usize] {
        &self.rows
    }

    /// Number of tiles.
    pub fn count(&self) -> usize {
        self.columns.len() * self.rows.len()
    }

    /// The tiles, row by row.
    pub fn tiles(&self) -> impl Iterator<Item = Tile> {
        let side = self.side;
        self.rows.iter().enumerate().flat_map(move |(row, &y)| {
            self.columns.iter().enumerate().map(move |(column, &x)| Tile { x, y, side, column, row })
        })
    }
}

/// Largest distance from one tile to the next, in pixels; at least one.
fn step(side: usize, overlap: Overlap) -> usize {
    // 0.9 is not exact in binary: without the tolerance ten pixels would not overlap by nine.
    let shared = (side as f64 * overlap.share() - 1e-6).ceil().max(0.0) as usize;
    side.saturating_sub(shared).max(1)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use proptest::prelude::*;

    use super::*;

    fn tiling(side: usize, overlap: f64) -> Tiling {
        let side = NonZeroUsize::new(side).map_or(TileSide::Short, TileSide::Pixels);
        Tiling { side, overlap: Overlap::new(overlap).unwrap() }
    }

    #[test]
    fn grids_of_known_pictures() {
        let grid = TileGrid::new(&tiling(400, 0.25), 1000, 700).unwrap();
        assert_eq!((grid.columns(), grid.rows()), (&[0, 300, 600][..], &[0, 300][..]));
        let places: Vec<_> = grid.tiles().map(|t| (t.x, t.y)).collect();
        assert_eq!(places, [(0, 0), (300, 0), (600, 0), (0, 300), (300, 300), (600, 300)]);
        // A square picture up to a tile's size is one tile.
        for side in [0, 500, 9999] {
            assert_eq!(TileGrid::new(&tiling(side, 0.5), 500, 500).unwrap().count(), 1);
        }
        // Tiles with the side of the short side.
        let grid = TileGrid::new(&tiling(0, 0.25), 1000, 500).unwrap();
        assert_eq!((grid.side(), grid.columns(), grid.rows()), (500, &[0, 250, 500][..], &[0][..]));
        let grid = TileGrid::new(&tiling(100, 0.9), 110, 100).unwrap();
        assert_eq!(grid.columns(), [0, 10]);
    }

    #[test]
    fn limits() {
        let error = |side, overlap, width, height| {
            TileGrid::new(&tiling(side, overlap), width, height).unwrap_err().to_string()
        };
        let message = error(16, 0.9, 4000, 3000);
        assert!(message.contains("4000 x 3000") && message.contains("larger tiles"), "{message}");
        for message in [error(0, 0.25, 1, 100_000), error(518, 0.25, 100_000, 1)] {
            assert!(message.contains("100000 tiles of 1 x 1") && message.contains("too narrow"), "{message}");
        }
        assert!(error(16, 0.0, 0, 5).contains("0 x 5"));
        assert!(error(1, 0.0, usize::MAX, usize::MAX).contains("at most 1024 are allowed"));
        assert_eq!(TileGrid::new(&tiling(100, 0.0), 100, 102_400).unwrap().count(), MAX_TILES);
        for share in [-0.1, 0.91, f64::NAN] {
            assert!(Overlap::new(share).is_none());
        }
    }

    proptest! {
        #[test]
        fn everything_is_covered_with_the_overlap_that_was_asked_for(
            width in 1usize..3000, height in 1usize..3000, side in 0usize..1500, overlap in 0.0f64..0.9,
        ) {
            let Ok(grid) = TileGrid::new(&tiling(side, overlap), width, height) else { return Ok(()) };
            let side = grid.side();
            prop_assert!(side <= width.min(height) && grid.count() <= MAX_TILES);
            prop_assert_eq!(grid.tiles().count(), grid.count());
            for (starts, length) in [(grid.columns(), width), (grid.rows(), height)] {
                prop_assert_eq!((starts[0], starts[starts.len() - 1] + side), (0, length));
                let gaps: Vec<usize> = starts.windows(2).map(|w| w[1] - w[0]).collect();
                for &gap in &gaps {
                    prop_assert!(gap >= 1);
                    let shared = side as f64 - gap as f64;
                    prop_assert!(shared >= side as f64 * overlap - 1e-6 || gap == 1);
                }
                // Evenly spaced, and one tile less would give too little overlap.
                let (least, most) = (gaps.iter().min(), gaps.iter().max());
                prop_assert!(most.zip(least).is_none_or(|(a, b)| a - b <= 1));
                if starts.len() > 2 {
                    let wider = (length - side).div_ceil(starts.len() - 2);
                    prop_assert!(side as f64 - (wider as f64) < side as f64 * overlap);
                }
            }
        }
    }
}
