//! Detection in tiles.

use ndarray::Array2;

use super::{Detector, batch, size};
use crate::Result;
use crate::image::{Geometry, Picture};
use crate::map::{smooth_blend, tile_map};
use crate::pipeline::ahead;
use crate::tiles::{Blend, Tile, TileGrid};

/// Largest number of tiles processed at the same time. One pass already uses all processors; a second one
/// fills the gaps between its parallel parts; more would only need memory.
const IN_FLIGHT: usize = 2;

/// A picture with its tile grid.
pub(super) struct Tiled<'a> {
    pub grid: &'a TileGrid,
    pub picture: &'a Picture,
}

impl Detector {
    /// The tile grid of a picture; `None` if one pass covers the whole picture without tiles.
    pub(super) fn grid(&self, picture: &Picture) -> Result<Option<TileGrid>> {
        let Some(tiling) = &self.tiling else { return Ok(None) };
        let grid = TileGrid::new(tiling, picture.width(), picture.height())?;
        Ok(Some(grid).filter(|grid| grid.count() > 1))
    }

    /// The blended map of all tiles, before smoothing.
    pub(super) fn blend(&self, tiled: &Tiled<'_>) -> Result<Blend> {
        let mut blend = Blend::new(tiled.grid, self.image_size());
        // Only maps are stored until they are added in the order of the tiles.
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
        let prepared = self.preprocess().run(&cut)?;
        let shape = size(&prepared.geometry);
        let evidence = self.class.look(&batch(prepared.tensor, &self.device)?)?;
        Ok(tile_map(&evidence.grids, shape))
    }

    /// The final map, `[Hm, Wm]`, and its placement on the picture.
    pub(super) fn finish(&self, blend: Blend) -> (Array2<f32>, Geometry) {
        let (geometry, scale) = (blend.geometry(), blend.scale());
        let patch = self.image_size() as f64 / self.model.grid() as f64;
        (smooth_blend(blend.into_map(), self.class.smoothing(), scale, patch), geometry)
    }
}
