//! The features of patches that are compared: several levels and neighbourhoods, one after the other.

use candle_core::{DType, Result, Tensor};
use rayon::prelude::*;

use crate::clip::VisionTower;

/// Number added to the variance of a token.
const EPSILON: f64 = 1e-6;

/// Radii of the neighbourhoods whose mean features are compared, in patches.
pub const RADII: [usize; 2] = [0, 1];

/// The features of a picture's patches.
#[derive(Debug, Clone)]
pub struct Features {
    /// Rows and columns of patches.
    pub grid: (usize, usize),
    /// Numbers per patch.
    pub width: usize,
    /// `[L, width]`, of unit length.
    pub values: Vec<f32>,
}

impl Features {
    /// The features of a picture `[1, 3, H, W]` after each of `levels`.
    ///
    /// # Errors
    /// The picture is smaller than a patch, or the tower has no such level.
    pub fn of(tower: &VisionTower, picture: &Tensor, levels: &[usize]) -> Result<Self> {
        let grid = tower.patches(picture)?;
        tower.check_levels(levels)?;
        let deepest = levels.iter().copied().max().unwrap_or(0);
        let mut x = tower.embed(picture)?;
        let mut parts = Vec::with_capacity(levels.len());
        for (i, block) in tower.blocks().iter().take(deepest).enumerate() {
            x = block.forward(&x, false)?;
            if levels.contains(&(i + 1)) {
                let patches = x.narrow(1, 1, x.dim(1)? - 1)?.to_dtype(DType::F32)?;
                parts.push(normalised(patches.flatten_all()?.to_vec1()?, x.dim(2)?));
            }
        }
        let own = parts.first().map_or(0, |part| part.len() / (grid.0 * grid.1).max(1));
        let width = own * RADII.len() * parts.len();
        let mut values = vec![0f32; width * grid.0 * grid.1];
        values.par_chunks_exact_mut(width.max(1)).enumerate().for_each(|(at, all)| {
            let mut out = all.chunks_exact_mut(own);
            for part in &parts {
                for radius in RADII {
                    let Some(out) = out.next() else { return };
                    neighbourhood(part, grid, at, radius, out);
                }
            }
            let scale = ((parts.len() * RADII.len()) as f32).sqrt().recip();
            all.iter_mut().for_each(|v| *v *= scale);
        });
        Ok(Self { grid, width, values })
    }
}

/// Tokens with mean 0 and variance 1 each.
fn normalised(mut tokens: Vec<f32>, width: usize) -> Vec<f32> {
    for token in tokens.chunks_exact_mut(width.max(1)) {
        let count = width as f64;
        let mean = token.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
        let variance = token.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count;
        let scale = (variance + EPSILON).sqrt().recip();
        token.iter_mut().for_each(|v| *v = ((f64::from(*v) - mean) * scale) as f32);
    }
    tokens
}

/// The direction of the mean of the tokens around a patch, as far as they are in the picture.
fn neighbourhood(tokens: &[f32], (rows, columns): (usize, usize), at: usize, radius: usize, out: &mut [f32]) {
    let (y, x, width) = (at / columns, at % columns, out.len());
    for row in y.saturating_sub(radius)..(y + radius + 1).min(rows) {
        for column in x.saturating_sub(radius)..(x + radius + 1).min(columns) {
            let token = &tokens[(row * columns + column) * width..][..width];
            out.iter_mut().zip(token).for_each(|(sum, v)| *sum += v);
        }
    }
    let length = out.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt().max(1e-12) as f32;
    out.iter_mut().for_each(|v| *v /= length);
}
