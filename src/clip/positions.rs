//! Position embeddings for a grid of another size than in training.

use candle_core::{DType, Device, Result, Tensor};

use crate::image::keys_cubic;

/// How position embeddings are resampled: torch's bicubic, `align_corners=False`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resampling {
    /// `antialias=True`, as AA-CLIP and CLIP-AD: the Keys cubic with a = -0.5, its support widened for reduction, taps
    /// beyond the border dropped and the others renormalised.
    #[default]
    Antialiased,
    /// `antialias=False`, as MuSc: the cubic with a = -0.75 and four taps; taps beyond the border take its value.
    Plain,
}

/// Resizes a position embedding `[1 + n*n, C]` to `[1 + rows*columns, C]`; row 0 (the class token) is kept.
///
/// An embedding that already has the right grid is returned unchanged.
///
/// # Errors
/// The rows after the first do not form a square grid, or `rows` or `columns` is 0.
pub fn resize(embedding: &Tensor, (rows, columns): (usize, usize), resampling: Resampling) -> Result<Tensor> {
    let (length, width) = embedding.dims2()?;
    let side = length.saturating_sub(1).isqrt();
    if side * side + 1 != length || rows * columns == 0 || side == 0 {
        candle_core::bail!(
            "a position embedding of {length} rows cannot be resized to a grid of {rows} x {columns}"
        );
    }
    if (rows, columns) == (side, side) {
        return Ok(embedding.clone());
    }
    let taps = |length| {
        let matrix = match resampling {
            Resampling::Antialiased => antialiased(side, length),
            Resampling::Plain => plain(side, length),
        };
        Tensor::from_vec(matrix, (length, side), &Device::Cpu)
    };
    let device = embedding.device();
    let values = embedding.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
    let patches = values.narrow(0, 1, side * side)?;
    // Rows of the grid first, then columns: [rows, side] x [side, side * C], then per output row.
    let tall = taps(rows)?.matmul(&patches.reshape((side, side * width))?)?.reshape((rows, side, width))?;
    let across = taps(columns)?.unsqueeze(0)?.broadcast_as((rows, columns, side))?.contiguous()?;
    let resized = across.matmul(&tall)?.reshape((rows * columns, width))?;
    Tensor::cat(&[&values.narrow(0, 0, 1)?, &resized], 0)?.to_dtype(embedding.dtype())?.to_device(device)
}

/// The weight of each input sample for each output sample, row-major `[output, input]`, without antialiasing.
fn plain(input: usize, output: usize) -> Vec<f64> {
    /// torch's cubic.
    fn cubic(x: f64) -> f64 {
        let (a, x) = (-0.75, x.abs());
        if x <= 1.0 {
            ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
        } else {
            ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
        }
    }
    let mut matrix = vec![0.0; output * input];
    for (o, row) in matrix.chunks_exact_mut(input).enumerate() {
        let centre = (o as f64 + 0.5) * input as f64 / output as f64 - 0.5;
        let first = centre.floor() as isize;
        for tap in first - 1..first + 3 {
            row[tap.clamp(0, input as isize - 1) as usize] += cubic(centre - tap as f64);
        }
    }
    matrix
}

/// The weight of each input sample for each output sample, row-major `[output, input]`.
fn antialiased(input: usize, output: usize) -> Vec<f64> {
    let scale = input as f64 / output as f64;
    let stretch = scale.max(1.0);
    let mut matrix = vec![0.0; output * input];
    for (o, row) in matrix.chunks_exact_mut(input).enumerate() {
        let centre = (o as f64 + 0.5) * scale;
        let first = ((centre - 2.0 * stretch + 0.5) as isize).max(0) as usize;
        let end = ((centre + 2.0 * stretch + 0.5) as usize).min(input);
        for (i, weight) in row.iter_mut().enumerate().take(end).skip(first) {
            *weight = keys_cubic((i as f64 + 0.5 - centre) / stretch);
        }
        let sum: f64 = row.iter().sum();
        row.iter_mut().for_each(|w| *w /= sum);
    }
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_stays_constant_and_the_class_row_is_kept() {
        for (from, to) in [(5, (9, 9)), (9, (5, 5)), (24, (37, 20)), (1, (4, 2)), (4, (1, 3))] {
            let mut rows = vec![7.0f32; (from * from + 1) * 3];
            rows[..3].copy_from_slice(&[1.0, 2.0, 3.0]);
            let e = Tensor::from_vec(rows, (from * from + 1, 3), &Device::Cpu).unwrap();
            let out = resize(&e, to, Resampling::Antialiased).unwrap().to_vec2::<f32>().unwrap();
            assert_eq!(out.len(), to.0 * to.1 + 1);
            assert_eq!(out[0], [1.0, 2.0, 3.0]);
            assert!(out[1..].iter().flatten().all(|v| (v - 7.0).abs() < 1e-5));
            let plain = resize(&e, to, Resampling::Plain).unwrap().to_vec2::<f32>().unwrap();
            assert!(plain[1..].iter().flatten().all(|v| (v - 7.0).abs() < 1e-5));
        }
    }

    #[test]
    fn not_a_grid_is_an_error() {
        let resize = |e: &Tensor, grid| resize(e, grid, Resampling::Antialiased);
        let e = Tensor::zeros((8, 3), DType::F32, &Device::Cpu).unwrap();
        assert!(resize(&e, (5, 5)).is_err());
        assert!(resize(&Tensor::zeros((1, 3), DType::F32, &Device::Cpu).unwrap(), (5, 5)).is_err());
        assert!(resize(&Tensor::zeros((10, 3), DType::F32, &Device::Cpu).unwrap(), (0, 3)).is_err());
    }
}
