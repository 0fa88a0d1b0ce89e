//! Bilinear resampling with both of torch's conventions.

use ndarray::parallel::prelude::*;
use ndarray::{Array2, ArrayView2, Axis};

/// Where samples of the smaller and the larger grid coincide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alignment {
    /// Pixels are areas; their outer edges coincide (torch's `align_corners=False`).
    HalfPixel,
    /// Pixels are points; the corner points coincide (torch's `align_corners=True`).
    Corners,
}

/// Resamples `[h, w]` to `[height, width]` bilinearly, without antialiasing, as `torch.nn.functional.interpolate`.
///
/// An empty map, or an empty target, gives an empty map.
pub fn bilinear(map: ArrayView2<'_, f32>, (height, width): (usize, usize), alignment: Alignment) -> Array2<f32> {
    if map.is_empty() || height == 0 || width == 0 {
        return Array2::zeros((0, 0));
    }
    let columns = taps(map.ncols(), width, alignment);
    let rows = taps(map.nrows(), height, alignment);
    let mut out = Array2::zeros((height, width));
    out.axis_iter_mut(Axis(0)).into_par_iter().zip(&rows).for_each(|(mut out, row)| {
        let (above, below) = (map.row(row.first), map.row(row.second));
        for (value, column) in out.iter_mut().zip(&columns) {
            let left = above[column.first] + (below[column.first] - above[column.first]) * row.weight;
            let right = above[column.second] + (below[column.second] - above[column.second]) * row.weight;
            *value = left + (right - left) * column.weight;
        }
    });
    out
}

/// The two samples an output sample lies between, and the weight of the second.
struct Tap {
    first: usize,
    second: usize,
    weight: f32,
}

fn taps(input: usize, output: usize, alignment: Alignment) -> Vec<Tap> {
    let position = |o: usize| match alignment {
        Alignment::HalfPixel => ((o as f64 + 0.5) * input as f64 / output as f64 - 0.5).max(0.0),
        Alignment::Corners if output > 1 => o as f64 * (input - 1) as f64 / (output - 1) as f64,
        Alignment::Corners => 0.0,
    };
    (0..output)
        .map(|o| {
            let p = position(o);
            let first = (p as usize).min(input - 1);
            Tap { first, second: (first + 1).min(input - 1), weight: (p - first as f64) as f32 }
        })
        .collect()
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
}
