//! Blends the maps of many tiles into one.

use ndarray::parallel::prelude::*;
use ndarray::{Array2, ArrayView2, Axis, Zip, s};

use super::{Tile, TileGrid};
use crate::image::{AxisMap, Geometry};
use crate::map::sample;

/// Largest number of pixels of a blended map: 64 MiB of numbers, and about four times that during smoothing.
pub const MAX_MAP_PIXELS: usize = 1 << 24;

/// Adds up the maps of a picture's tiles, weighted so that each tile fades out where its neighbour fades in.
///
/// The map covers the picture, `[Hm, Wm]`, at the scale of the tiles' own maps, `S x S` pixels per tile, or
/// at a smaller scale if it would exceed [`MAX_MAP_PIXELS`]. Across an overlap the weights are halves of a
/// raised cosine; they are divided by their sum, so that they sum to 1 also where more than two tiles meet.
/// At the picture's border there is no fading.
#[derive(Debug, Clone)]
pub struct Blend {
    map: Array2<f32>,
    geometry: Geometry,
    scale: f64,
    columns: Vec<Band>,
    rows: Vec<Band>,
}

/// The contribution of one column or row of tiles to the map.
#[derive(Debug, Clone)]
struct Band {
    /// The first covered pixel of the map.
    start: usize,
    /// For each covered pixel of the map: its position on the tile's own map (0 is the centre of the first
    /// pixel).
    positions: Vec<f64>,
    /// For each covered pixel of the map: the weight of the tile.
    weights: Vec<f32>,
}

impl Blend {
    /// An empty map for tiles whose own maps are `[size, size]`.
    pub fn new(grid: &TileGrid, size: usize) -> Self {
        let (width, height) = grid.picture();
        let wanted = size as f64 / grid.side() as f64;
        let largest = (MAX_MAP_PIXELS as f64 / (width as f64 * height as f64)).sqrt();
        let scale = wanted.min(largest);
        let axis = |length: usize| {
            let exact = length as f64 * scale;
            let pixels = if scale < wanted { exact.floor() } else { exact.round() };
            let pixels = (pixels as usize).max(1);
            AxisMap { input: length, size: pixels, scaled: pixels, offset: 0 }
        };
        let geometry = Geometry { across: axis(width), down: axis(height) };
        Self {
            map: Array2::zeros((geometry.down.size, geometry.across.size)),
            geometry,
            scale: scale / wanted,
            columns: bands(grid.columns(), grid.side(), &geometry.across, size),
            rows: bands(grid.rows(), grid.side(), &geometry.down, size),
        }
    }

    /// Adds the map of one tile, `[size, size]`. The order of the tiles affects the last bits of the sum.
    pub fn add(&mut self, tile: &Tile, map: ArrayView2<'_, f32>) {
        let (Some(row), Some(column)) = (self.rows.get(tile.row), self.columns.get(tile.column)) else {
            return;
        };
        let part = sample(map, &row.positions, &column.positions);
        let (height, width) = part.dim();
        let window = s![row.start..row.start + height, column.start..column.start + width];
        let mut out = self.map.slice_mut(window);
        let lines = out.axis_iter_mut(Axis(0)).into_par_iter().zip(part.axis_iter(Axis(0)).into_par_iter());
        lines.zip(&row.weights).for_each(|((mut out, part), &down)| {
            Zip::from(&mut out).and(&part).and(&column.weights[..]).for_each(|sum, &value, &across| {
                *sum += value * (down * across);
            });
        });
    }

    /// Pixels of the blended map per pixel of a tile's own map: 1, or less if the limit was reached.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// The placement of the map on the picture.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The map, `[Hm, Wm]`.
    pub fn into_map(self) -> Array2<f32> {
        self.map
    }
}

fn bands(starts: &[usize], side: usize, axis: &AxisMap, size: usize) -> Vec<Band> {
    let pitch = axis.input as f64 / axis.size as f64;
    let mut totals = vec![0.0f64; axis.size];
    let mut bands = Vec::with_capacity(starts.len());
    for (i, &start) in starts.iter().enumerate() {
        let (left, right) = (start as f64, (start + side) as f64);
        // The overlap with the neighbour on either side; 0 without a neighbour.
        let shared =
            |other: Option<&usize>| other.map_or(0, |o| side.saturating_sub(o.abs_diff(start))) as f64;
        let before = shared(i.checked_sub(1).and_then(|p| starts.get(p)));
        let after = shared(starts.get(i + 1));
        let about = |edge: f64| (edge / pitch).max(0.0) as usize;
        let candidates = about(left).saturating_sub(1)..(about(right) + 2).min(axis.size);
        let centre = |pixel: usize| (pixel as f64 + 0.5) * pitch;
        let inside: Vec<usize> = candidates.filter(|&p| (left..right).contains(&centre(p))).collect();
        let weights: Vec<f64> =
            inside.iter().map(|&p| fade(centre(p) - left, before) * fade(right - centre(p), after)).collect();
        inside.iter().zip(&weights).for_each(|(&p, weight)| totals[p] += weight);
        let positions =
            inside.iter().map(|&p| (centre(p) - left) * size as f64 / side as f64 - 0.5).collect();
        bands.push((inside.first().copied().unwrap_or(0), positions, weights));
    }
    let normalised = |(start, positions, weights): (usize, Vec<f64>, Vec<f64>)| {
        let share = |(weight, total): (f64, &f64)| (weight / total) as f32;
        let weights = weights.into_iter().zip(&totals[start..]).map(share).collect();
        Band { start, positions, weights }
    };
    bands.into_iter().map(normalised).collect()
}

/// Half a raised cosine, from 0 at the tile's edge to 1 where its neighbour ends.
fn fade(distance: f64, shared: f64) -> f64 {
    if distance < shared { (std::f64::consts::FRAC_PI_2 * distance / shared).sin().powi(2) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use proptest::prelude::*;

    use super::super::{Overlap, TileSide, Tiling};
    use super::*;

    fn grid(side: usize, overlap: f64, width: usize, height: usize) -> TileGrid {
        let side = TileSide::Pixels(NonZeroUsize::new(side).unwrap());
        TileGrid::new(&Tiling { side, overlap: Overlap::new(overlap).unwrap() }, width, height).unwrap()
    }

    /// Blends the tiles' views of a field over the picture, with an error added per tile.
    fn blend(
        grid: &TileGrid,
        size: usize,
        field: impl Fn(f64, f64) -> f64,
        error: impl Fn(&Tile) -> f64,
    ) -> Blend {
        let mut blend = Blend::new(grid, size);
        for tile in grid.tiles() {
            let at =
                |i: usize, start: usize| start as f64 + (i as f64 + 0.5) * tile.side as f64 / size as f64;
            let map = Array2::from_shape_fn((size, size), |(y, x)| {
                (field(at(x, tile.x), at(y, tile.y)) + error(&tile)) as f32
            });
            blend.add(&tile, map.view());
        }
        blend
    }

    /// The largest step between neighbouring pixels.
    fn largest_step(map: &Array2<f32>) -> f32 {
        let across = map.windows((1, 2)).into_iter().map(|w| (w[(0, 0)] - w[(0, 1)]).abs());
        let down = map.windows((2, 1)).into_iter().map(|w| (w[(0, 0)] - w[(1, 0)]).abs());
        across.chain(down).fold(0.0, f32::max)
    }

    #[test]
    fn a_field_comes_back_as_it_was() {
        let field = |x: f64, y: f64| (x / 90.0).sin() + (y / 70.0).cos();
        for overlap in [0.0, 0.25, 0.6, 0.9] {
            let grid = grid(200, overlap, 700, 450);
            let blend = blend(&grid, 100, field, |_| 0.0);
            assert_eq!((blend.map.dim(), blend.scale()), ((225, 350), 1.0));
            let exact = |y: usize, x: usize| field((x as f64 + 0.5) * 2.0, (y as f64 + 0.5) * 2.0) as f32;
            let worst =
                blend.map.indexed_iter().map(|((y, x), v)| (v - exact(y, x)).abs()).fold(0.0, f32::max);
            assert!(worst < 0.02, "{overlap}: {worst}");
            // Tile borders are invisible: no step is larger than the field's own.
            assert!(largest_step(&blend.map) < 0.05, "{overlap}: {}", largest_step(&blend.map));
        }
    }

    #[test]
    fn tiles_that_disagree_are_joined_by_a_ramp() {
        let grid = grid(200, 0.25, 650, 200);
        assert_eq!(grid.columns(), [0, 150, 300, 450]);
        // Every second tile is 1 higher; over 25 map pixels of overlap this is a slope, not a step.
        let blended = blend(&grid, 100, |_, _| 0.0, |t| (t.column % 2) as f64);
        let steepest = std::f32::consts::FRAC_PI_2 / 25.0;
        assert!(largest_step(&blended.map) <= steepest + 1e-4, "{}", largest_step(&blended.map));
        let row = blended.map.row(50);
        assert!(row[10] == 0.0 && (row[110] - 1.0).abs() < 1e-6, "{} {}", row[10], row[110]);
        // Without overlap it is a step: the control of this test.
        let grid =
            TileGrid::new(&Tiling { side: TileSide::Short, overlap: Overlap::new(0.0).unwrap() }, 400, 200);
        let blended = blend(&grid.unwrap(), 100, |_, _| 0.0, |t| (t.column % 2) as f64);
        assert_eq!(largest_step(&blended.map), 1.0);
    }

    #[test]
    fn a_single_tile_is_its_own_map() {
        let grid = grid(64, 0.5, 64, 64);
        let mut blend = Blend::new(&grid, 37);
        let map = Array2::from_shape_fn((37, 37), |(y, x)| ((y * 31 + x * 17) % 23) as f32);
        blend.add(&grid.tiles().next().unwrap(), map.view());
        let worst = (&blend.map - &map).iter().fold(0.0f32, |m, d| m.max(d.abs()));
        assert!(worst < 1e-4, "{worst}");
    }

    #[test]
    fn the_map_never_outgrows_its_limit() {
        for (side, width, height, size) in [(100, 3000, 2000, 518), (16, 500, 500, 4096), (3, 3, 3000, 4096)]
        {
            let blend = Blend::new(&grid(side, 0.0, width, height), size);
            let (h, w) = blend.map.dim();
            assert!(h * w <= MAX_MAP_PIXELS && h * w > MAX_MAP_PIXELS / 2, "{h} x {w}");
            assert!(blend.scale() < 1.0);
            let shape = (w as f64 / h as f64) / (width as f64 / height as f64);
            assert!((shape - 1.0).abs() < 0.05, "{h} x {w}");
            let geometry = blend.geometry();
            assert_eq!((geometry.across.visible(), geometry.down.visible()), (0..width, 0..height));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn weights_sum_to_one_everywhere(
            width in 1usize..400, height in 1usize..400, side in 1usize..300, overlap in 0.0f64..0.9, size in 1usize..40,
        ) {
            let tiling =
                Tiling { side: TileSide::Pixels(NonZeroUsize::new(side).unwrap()), overlap: Overlap::new(overlap).unwrap() };
            let Ok(grid) = TileGrid::new(&tiling, width, height) else { return Ok(()) };
            let blended = blend(&grid, size, |_, _| 3.0, |_| 0.0);
            prop_assert!(blended.map.iter().all(|v| (v - 3.0).abs() < 1e-5));
        }
    }
}
