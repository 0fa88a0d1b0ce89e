//! LayerNorm.

use rayon::prelude::*;

use super::buffer::{Scratch, as_floats_mut};
use super::isa::{Isa, vectorised};
use super::rows::{Rows, encode};
use super::tile::Element;

/// The parameters of a LayerNorm.
#[derive(Debug, Clone)]
pub struct NormWeights {
    /// `[C]`
    pub weight: Vec<f32>,
    /// `[C]`
    pub bias: Vec<f32>,
    /// Added to the variance.
    pub eps: f32,
}

impl NormWeights {
    /// LayerNorm of the rows of `x` (`[rows, C]`), ready for a product.
    pub(crate) fn rows(&self, isa: Isa, x: &[f32], element: Element) -> Rows {
        let width = self.weight.len();
        let mut made = Rows::new(element, x.len() / width.max(1), width);
        made.fill(|row, out, step| {
            let x = &x[row * width..][..width];
            if element == Element::F32 {
                normalise(isa, x, self, as_floats_mut(out));
            } else {
                let mut buffer = Scratch::new(width);
                let floats = &mut as_floats_mut(&mut buffer)[..width];
                normalise(isa, x, self, floats);
                encode(isa, floats, element, out, step);
            }
        });
        made
    }

    /// LayerNorm of the rows of `x` (`[rows, C]`).
    pub(crate) fn floats(&self, isa: Isa, x: &[f32]) -> Vec<f32> {
        let width = self.weight.len().max(1);
        let mut out = vec![0.0; x.len()];
        let rows = out.par_chunks_exact_mut(width).zip(x.par_chunks_exact(width)).with_min_len(8);
        rows.for_each(|(out, x)| normalise(isa, x, self, out));
        out
    }
}

vectorised! {
    fn normalise(x: &[f32], norm: &NormWeights, out: &mut [f32]) {
        let (chunks, rest) = x.as_chunks::<16>();
        let count = x.len() as f32;
        // Sixteen parallel sums, so that their order does not depend on the instruction set.
        let mut sums = [0f32; 16];
        for chunk in chunks {
            for (s, v) in sums.iter_mut().zip(chunk) {
                *s += v;
            }
        }
        let mean = (sums.iter().sum::<f32>() + rest.iter().sum::<f32>()) / count;
        let mut squares = [0f32; 16];
        for chunk in chunks {
            for (s, v) in squares.iter_mut().zip(chunk) {
                *s += (v - mean) * (v - mean);
            }
        }
        let rest: f32 = rest.iter().map(|v| (v - mean) * (v - mean)).sum();
        let scale = 1.0 / ((squares.iter().sum::<f32>() + rest) / count + norm.eps).sqrt();
        for ((out, v), (w, b)) in out.iter_mut().zip(x).zip(norm.weight.iter().zip(&norm.bias)) {
            *out = (v - mean) * scale * w + b;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::linear::decode;
    use crate::kernels::sample;

    #[test]
    fn mean_and_variance_of_every_row() {
        for width in [1, 15, 16, 40, 1024] {
            let x: Vec<f32> = sample(5 * width, 1).iter().map(|v| v * 3.0 + 10.0).collect();
            let norm = NormWeights { weight: sample(width, 2), bias: sample(width, 3), eps: 1e-5 };
            for isa in Isa::all() {
                let found = norm.floats(isa, &x);
                assert_eq!(decode(&norm.rows(isa, &x, Element::F32)), found);
                for (row, found) in x.chunks(width).zip(found.chunks(width)) {
                    let mean = row.iter().map(|&v| f64::from(v)).sum::<f64>() / width as f64;
                    let variance =
                        row.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / width as f64;
                    for c in 0..width {
                        let unit = (f64::from(row[c]) - mean) / (variance + 1e-5).sqrt();
                        let exact = unit * f64::from(norm.weight[c]) + f64::from(norm.bias[c]);
                        assert!(
                            (f64::from(found[c]) - exact).abs() < 2e-5,
                            "{isa:?} {width}: {} {exact}",
                            found[c]
                        );
                    }
                }
                for (a, b) in decode(&norm.rows(isa, &x, Element::Bf16)).iter().zip(&found) {
                    assert!((a - b).abs() <= b.abs() / 256.0);
                }
            }
        }
    }
}
