//! Pictures of good parts, and the distance of a picture to them.

use candle_core::{D, Result, Tensor};
use ndarray::Array2;

use super::{Features, Windows};
use crate::methods::unit;

/// The patches and windows of pictures of good parts, as vectors of unit length, without their positions.
#[derive(Debug, Clone)]
pub struct Memory(Vec<Features>);

impl Memory {
    /// The memory of pictures.
    ///
    /// # Errors
    /// The device fails.
    pub fn new(pictures: &[Features]) -> Result<Self> {
        pictures.iter().map(unit_rows).collect::<Result<_>>().map(Self)
    }

    /// The distance of every patch to the nearest reference, `[rows, columns]`: the mean of its own distance and, for each
    /// scale, the harmonic mean of the distances of the windows that contain it. `windows` are those of `seen`.
    ///
    /// # Errors
    /// The features are from another model or have another grid or other scales, or there is no reference.
    pub fn association(&self, seen: &Features, windows: &[Windows]) -> Result<Array2<f32>> {
        let seen = unit_rows(seen)?;
        let patches = nearest(&seen.patches, self.0.iter().map(|reference| &reference.patches))?;
        let mut sum = Array2::from_shape_vec(seen.grid, patches).map_err(candle_core::Error::wrap)?;
        for (i, (windows, embeddings)) in windows.iter().zip(&seen.windows).enumerate() {
            let known = self.0.iter().filter_map(|reference| reference.windows.get(i));
            sum += &windows.spread(&nearest(embeddings, known)?);
        }
        Ok(sum / (1 + windows.len()) as f32)
    }
}

fn unit_rows(features: &Features) -> Result<Features> {
    Ok(Features {
        grid: features.grid,
        image: unit(&features.image)?,
        patches: unit(&features.patches)?,
        windows: features.windows.iter().map(unit).collect::<Result<_>>()?,
    })
}

/// Half of the cosine distance of each row of `vectors` `[N, D]` to the nearest row of the `known` tensors `[M, D]`; all
/// rows have unit length. A distance that is negative after rounding becomes 0.
///
/// # Errors
/// The vectors have another width, or `known` is empty.
pub fn nearest<'a>(vectors: &Tensor, known: impl Iterator<Item = &'a Tensor>) -> Result<Vec<f32>> {
    let mut best: Option<Tensor> = None;
    for known in known {
        let similarity = vectors.matmul(&known.t()?)?.max(D::Minus1)?;
        best = Some(match best {
            Some(best) => best.maximum(&similarity)?,
            None => similarity,
        });
    }
    let Some(best) = best else { candle_core::bail!("no reference picture is given") };
    Ok(best.to_vec1::<f32>()?.into_iter().map(|similarity| ((1.0 - similarity) / 2.0).max(0.0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn the_nearest_of_all_references_counts() {
        let rows = |values: &[f32]| Tensor::from_slice(values, (values.len() / 2, 2), &Device::Cpu).unwrap();
        let (one, two) = (rows(&[1.0, 0.0, -1.0, 0.0]), rows(&[0.6, 0.8]));
        let seen = rows(&[0.0, 1.0, 1.0, 0.0, 1.000_001, 0.0]);
        let found = nearest(&seen, [&one, &two].into_iter()).unwrap();
        assert!((found[0] - 0.1).abs() < 1e-6, "{found:?}");
        assert_eq!(&found[1..], [0.0, 0.0]);
        assert!(nearest(&seen, std::iter::empty()).is_err());
    }
}
