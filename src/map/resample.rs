//! Bilinear resampling with both of torch's alignments.

use std::ops::Range;

use ndarray::parallel::prelude::*;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};

use crate::image::{AxisMap, Geometry};

/// How the smaller and the larger grid are aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Alignment {
    /// Pixels are areas; their outer edges coincide (torch's `align_corners=False`).
    HalfPixel,
    /// Pixels are points; the corner points coincide (torch's `align_corners=True`).
    Corners,
}

/// Resamples `[h, w]` to `[height, width]` bilinearly, without antialiasing, as
/// `torch.nn.functional.interpolate`.
///
/// An empty map or an empty target gives an empty map.
pub fn bilinear(
    map: ArrayView2<'_, f32>,
    (height, width): (usize, usize),
    alignment: Alignment,
) -> Array2<f32> {
    if map.is_empty() || height == 0 || width == 0 {
        return Array2::zeros((0, 0));
    }
    let columns = taps(map.ncols(), width, alignment);
    let rows = taps(map.nrows(), height, alignment);
    let mut out = Array2::zeros((height, width));
    fill(map, &rows, &columns, out.view_mut());
    out
}

/// Some rows of what [`bilinear`] makes of a map that is not empty.
pub(crate) fn bilinear_rows(
    map: ArrayView2<'_, f32>,
    (height, width): (usize, usize),
    wanted: Range<usize>,
    alignment: Alignment,
) -> Array2<f32> {
    let columns = taps(map.ncols(), width, alignment);
    let rows = taps(map.nrows(), height, alignment);
    let mut out = Array2::zeros((wanted.len(), width));
    fill(map, &rows[wanted], &columns, out.view_mut());
    out
}

/// Resamples a map of the model's square, `[S, S]`, to the size of the picture, `[H, W]`, bilinearly; pixels
/// outside the square become `outside`.
pub fn restore(map: ArrayView2<'_, f32>, geometry: &Geometry, outside: f32) -> Array2<f32> {
    let Geometry { across, down } = geometry;
    let mut out = Array2::from_elem((down.input, across.input), outside);
    let (columns, rows) = (across.visible(), down.visible());
    if map.dim() != (down.size, across.size) || columns.is_empty() || rows.is_empty() {
        return out;
    }
    let taps = |axis: &AxisMap, visible: Range<usize>| -> Vec<Tap> {
        visible.map(|i| Tap::at(axis.position(i).max(0.0), axis.size)).collect()
    };
    let seen = out.slice_mut(s![rows.clone(), columns.clone()]);
    fill(map, &taps(down, rows), &taps(across, columns), seen);
    out
}

/// The values of `[h, w]` at all crossings of `rows` and `columns`, bilinearly. Positions are in pixels of
/// the map; 0 is the centre of the first pixel; positions beyond an end take the value at that end. An empty
/// map gives an empty one.
pub(crate) fn sample(map: ArrayView2<'_, f32>, rows: &[f64], columns: &[f64]) -> Array2<f32> {
    if map.is_empty() {
        return Array2::zeros((0, 0));
    }
    let taps = |at: &[f64], samples: usize| -> Vec<Tap> { at.iter().map(|&p| Tap::at(p, samples)).collect() };
    let mut out = Array2::zeros((rows.len(), columns.len()));
    fill(map, &taps(rows, map.nrows()), &taps(columns, map.ncols()), out.view_mut());
    out
}

fn fill(map: ArrayView2<'_, f32>, rows: &[Tap], columns: &[Tap], mut out: ArrayViewMut2<'_, f32>) {
    out.axis_iter_mut(Axis(0)).into_par_iter().zip(rows).for_each(|(mut out, row)| {
        let (above, below) = (map.row(row.first), map.row(row.second));
        for (value, column) in out.iter_mut().zip(columns) {
            let left = above[column.first] + (below[column.first] - above[column.first]) * row.weight;
            let right = above[column.second] + (below[column.second] - above[column.second]) * row.weight;
            *value = left + (right - left) * column.weight;
        }
    });
}

/// The two input samples next to an output sample, and the weight of the second.
struct Tap {
    first: usize,
    second: usize,
    weight: f32,
}

impl Tap {
    /// For a position in samples; positions beyond either end take the last sample.
    fn at(position: f64, samples: usize) -> Self {
        let position = position.max(0.0);
        let first = (position as usize).min(samples - 1);
        Self { first, second: (first + 1).min(samples - 1), weight: (position - first as f64) as f32 }
    }
}

fn taps(input: usize, output: usize, alignment: Alignment) -> Vec<Tap> {
    let position = |o: usize| match alignment {
        Alignment::HalfPixel => (o as f64 + 0.5) * input as f64 / output as f64 - 0.5,
        Alignment::Corners if output > 1 => o as f64 * (input - 1) as f64 / (output - 1) as f64,
        Alignment::Corners => 0.0,
    };
    (0..output).map(|o| Tap::at(position(o), input)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn both_alignments_on_a_ramp() {
        let map = array![[0.0, 1.0], [2.0, 3.0]];
        let corners = bilinear(map.view(), (3, 3), Alignment::Corners);
        assert_eq!(corners, array![[0.0, 0.5, 1.0], [1.0, 1.5, 2.0], [2.0, 2.5, 3.0]]);
        let half = bilinear(map.view(), (4, 4), Alignment::HalfPixel);
        assert_eq!(half.row(0).to_vec(), [0.0, 0.25, 0.75, 1.0]);
        assert_eq!(half.column(0).to_vec(), [0.0, 0.5, 1.5, 2.0]);
    }

    #[test]
    fn same_size_is_the_identity_and_one_sample_fills_all() {
        let map = Array2::from_shape_fn((5, 7), |(r, c)| (r * 7 + c) as f32);
        for alignment in [Alignment::HalfPixel, Alignment::Corners] {
            assert_eq!(bilinear(map.view(), (5, 7), alignment), map);
            let one = array![[4.0]];
            assert!(bilinear(one.view(), (3, 9), alignment).iter().all(|&v| v == 4.0));
            assert_eq!(bilinear(map.view(), (0, 3), alignment).len(), 0);
        }
    }

    #[test]
    fn a_spot_comes_back_where_it_was() {
        let axis = |input, scaled, offset| AxisMap { input, size: 40, scaled, offset };
        // A picture of 80 x 60, squashed and cut to 40 x 40; the spot is at pixel (50, 20).
        for (across, down) in [(axis(80, 40, 0), axis(60, 40, 0)), (axis(80, 53, -6), axis(60, 40, 0))] {
            let (x, y) = (across.position(50).round() as usize, down.position(20).round() as usize);
            let mut map = Array2::zeros((40, 40));
            map[(y, x)] = 1.0;
            let back = restore(map.view(), &Geometry { across, down }, -1.0);
            assert_eq!(back.dim(), (60, 80));
            let brightest = back.indexed_iter().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
            assert!(brightest.0.abs_diff(20) <= 1 && brightest.1.abs_diff(50) <= 1, "{brightest:?}");
            let hidden = back.iter().filter(|&&v| v == -1.0).count();
            assert_eq!(hidden > 0, across.offset < 0);
        }
    }
}
