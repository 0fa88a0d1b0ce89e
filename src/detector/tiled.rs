//! A picture looked at tile by tile.

use ndarray::Array2;

use super::{Detector, batch};
use crate::Result;
use crate::image::{Geometry, Picture};
use crate::map::{smooth_blend, tile_map};
use crate::pipeline::ahead;
use crate::tiles::{Blend, Tile, TileGrid};

/// Tiles that are looked at a time, at most. A pass uses all processors by itself; a second one fills the gaps between
/// its parallel parts, more only take memory.
const IN_FLIGHT: usize = 2;

/// A picture and where its tiles lie.
pub(super) struct Tiled<'a> {
    pub grid: &'a TileGrid,
    pub picture: &'a Picture,
}

impl Detector {
    /// Where the tiles of a picture lie; `None` where one pass sees all of it as it is.
    pub(super) fn grid(&self, picture: &Picture) -> Result<Option<TileGrid>> {
        let Some(tiling) = &self.tiling else { return Ok(None) };
        let grid = TileGrid::new(tiling, picture.width(), picture.height())?;
        Ok(Some(grid).filter(|grid| grid.count() > 1))
    }

    /// The maps of all tiles as one, not smoothed yet.
    pub(super) fn blend(&self, tiled: &Tiled<'_>) -> Result<Blend> {
        let mut blend = Blend::new(tiled.grid, self.image_size());
        // Only maps are kept, until they are added in the tiles' order.
        let in_flight = if self.device.is_cpu() { rayon::current_num_threads().min(IN_FLIGHT) } else { 1 };
        ahead(
            tiled.grid.tiles(),
            in_flight,
            |tile| self.tile(tiled.picture, tile),
            |tile, map| {
                blend.add(&tile, map?.view());
                Ok(())
            },
        )
        .map(|()| blend)
    }

    /// The map of one tile, `[S, S]`.
    fn tile(&self, picture: &Picture, tile: &Tile) -> Result<Array2<f32>> {
        let cut = picture.square(tile.x, tile.y, tile.side);
        let evidence = self.class.look(&batch(self.preprocess().run(&cut)?.tensor, &self.device)?)?;
        Ok(tile_map(&evidence.grids, self.image_size()))
    }

    /// The final map, `[Hm, Wm]`, and how it lies on the picture.
    pub(super) fn finish(&self, blend: Blend) -> (Array2<f32>, Geometry) {
        let (geometry, scale) = (blend.geometry(), blend.scale());
        let patch = self.image_size() as f64 / self.model.grid() as f64;
        (smooth_blend(blend.into_map(), self.class.smoothing(), scale, patch), geometry)
    }
}
