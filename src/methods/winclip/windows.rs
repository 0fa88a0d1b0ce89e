//! Windows: square blocks of neighbouring patches, each encoded on its own.

use candle_core::Tensor;
use ndarray::{Array2, s};

use crate::clip::VisionTower;
use crate::{Error, Result};

/// Number of tokens in one pass: about as many as the largest common picture has (37 x 37 patches), so
/// that windows need no more memory than the picture.
const TOKENS: usize = 1400;

/// All windows of one scale on a grid of patches, at every position, row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    rows: usize,
    columns: usize,
    scale: usize,
}

impl Windows {
    /// The windows of `scale` x `scale` patches on a grid of `rows` x `columns`.
    ///
    /// # Errors
    /// The scale is 0, or the window is larger than the grid.
    pub fn new(scale: usize, (rows, columns): (usize, usize)) -> Result<Self> {
        if scale == 0 || scale > rows.min(columns) {
            return Err(Error::Setting(format!(
                "`scales`: a window of {scale} x {scale} patches does not fit the grid of {rows} x {columns}"
            )));
        }
        Ok(Self { rows, columns, scale })
    }

    /// Patches along one side of a window.
    pub fn scale(self) -> usize {
        self.scale
    }

    /// Number of window positions down and across the grid.
    fn places(self) -> (usize, usize) {
        (self.rows - self.scale + 1, self.columns - self.scale + 1)
    }

    /// Row and column of a window's first patch.
    fn place(self, window: usize) -> (usize, usize) {
        (window / self.places().1, window % self.places().1)
    }

    /// The number of windows.
    pub fn count(self) -> usize {
        self.places().0 * self.places().1
    }

    /// The patches of a window, counted row by row over the grid.
    fn patches(self, window: usize) -> impl Iterator<Item = usize> {
        let (y, x) = self.place(window);
        (0..self.scale.pow(2)).map(move |i| (y + i / self.scale) * self.columns + x + i % self.scale)
    }

    /// The embedding of every window, `[windows, D]`, not normalised, from a pass of the class token and the patches of
    /// the window. `tokens` is `[1 + L, W]`, the whole picture before the first block ([`VisionTower::embed`]), so
    /// patches keep their positions in the picture.
    ///
    /// # Errors
    /// The tokens are from another tower or grid.
    pub fn embed(self, tower: &VisionTower, tokens: &Tensor) -> candle_core::Result<Tensor> {
        let length = 1 + self.scale.pow(2);
        let all: Vec<usize> = (0..self.count()).collect();
        let chunks = all.chunks((TOKENS / length).max(1)).map(|windows| {
            let rows = |&w: &usize| std::iter::once(0).chain(self.patches(w).map(|p| 1 + p as u32));
            let rows = Tensor::from_iter(windows.iter().flat_map(rows), tokens.device())?;
            let mut x = tokens.index_select(&rows, 0)?.reshape((windows.len(), length, ()))?;
            for block in tower.blocks() {
                x = block.forward(&x, false)?;
            }
            tower.project(&x.narrow(1, 0, 1)?)?.squeeze(1)
        });
        Tensor::cat(&chunks.collect::<candle_core::Result<Vec<_>>>()?, 0)
    }

    /// For each patch the harmonic mean of the scores of the windows that contain it, `[rows, columns]`; 0 if one of them
    /// is 0.
    /// `scores` has one value per window, not negative.
    pub fn spread(self, scores: &[f32]) -> Array2<f32> {
        let mut inverse = Array2::<f64>::zeros((self.rows, self.columns));
        let mut count = inverse.clone();
        for (window, &score) in (0..self.count()).zip(scores) {
            let (y, x) = self.place(window);
            let covered = s![y..y + self.scale, x..x + self.scale];
            inverse.slice_mut(covered).mapv_inplace(|sum| sum + f64::from(score).recip());
            count.slice_mut(covered).mapv_inplace(|n| n + 1.0);
        }
        (count / inverse).mapv(|mean| mean as f32)
    }
}

/// The element-wise harmonic mean of grids of the same shape; 0 where one of them is 0.
pub(super) fn harmonic_mean(grids: &[Array2<f32>]) -> Array2<f32> {
    let inverse = |grid: &Array2<f32>| grid.mapv(|v| f64::from(v).recip());
    let sum = grids.iter().map(inverse).reduce(|sum, grid| sum + grid).unwrap_or_default();
    sum.mapv(|sum| (grids.len() as f64 / sum) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_the_grid_row_by_row() {
        let windows = Windows::new(2, (3, 3)).unwrap();
        let patches: Vec<Vec<usize>> = (0..windows.count()).map(|w| windows.patches(w).collect()).collect();
        assert_eq!(patches, [[0, 1, 3, 4], [1, 2, 4, 5], [3, 4, 6, 7], [4, 5, 7, 8]]);
        assert_eq!(Windows::new(3, (3, 3)).unwrap().count(), 1);
        assert_eq!(Windows::new(1, (3, 5)).unwrap().count(), 15);
    }

    #[test]
    fn windows_that_do_not_fit_are_refused_with_the_grid() {
        for (scale, grid) in [(4, (3, 9)), (0, (3, 3)), (1, (5, 0))] {
            let refused = Windows::new(scale, grid).unwrap_err().to_string();
            assert!(refused.contains(&format!("grid of {} x {}", grid.0, grid.1)), "{refused}");
        }
    }

    #[test]
    fn scores_are_spread_by_their_harmonic_mean() {
        let grid = Windows::new(2, (3, 3)).unwrap().spread(&[0.5, 0.25, 0.125, 0.0]);
        assert_eq!(grid[(0, 0)], 0.5);
        assert_eq!(grid[(0, 1)], 2.0 / 6.0);
        assert_eq!(grid[(1, 0)], 0.2);
        assert_eq!((grid[(1, 1)], grid[(2, 2)]), (0.0, 0.0));
        let mean = harmonic_mean(&[grid, Array2::from_elem((3, 3), 0.25)]);
        assert_eq!((mean[(0, 0)], mean[(1, 1)]), (2.0 / 6.0, 0.0));
    }
}
