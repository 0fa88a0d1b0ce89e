//! The mask of the patches that show the part, by the first principal component of their features.

use candle_core::{D, DType, Result, Tensor};

/// Share of the centre that must be in the mask; else the component has the wrong sign.
const CENTRE: f64 = 0.35;
/// Steps of the power iteration; each costs two products of a vector with the features.
const STEPS: usize = 1000;

/// The score of every patch on the first principal component of `features` `[L, W]`; the entry of the largest absolute
/// value is positive.
///
/// # Errors
/// The device fails.
pub fn first_component(features: &Tensor) -> Result<Vec<f64>> {
    let features = features.to_dtype(DType::F64)?;
    let centred = features.broadcast_sub(&features.mean_keepdim(0)?)?;
    // The smaller of the two products of the matrix with itself has the same first component.
    let gram = centred.matmul(&centred.t()?)?;
    let count = gram.dim(0)?;
    let squares: Vec<f64> = gram.to_vec2::<f64>()?.iter().enumerate().map(|(i, row)| row[i]).collect();
    let largest = squares.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(i, _)| i);
    let mut vector = gram.narrow(1, largest.min(count.saturating_sub(1)), 1)?;
    let mut length = 0.0;
    for _ in 0..STEPS {
        vector = gram.matmul(&vector)?;
        let now: f64 = vector.sqr()?.sum_all()?.sqrt()?.to_scalar()?;
        if now == 0.0 {
            break;
        }
        vector = (vector / now)?;
        let before = std::mem::replace(&mut length, now);
        if (now - before).abs() <= 1e-15 * now {
            break;
        }
    }
    // The component's scores are the first left vector times the first singular value.
    let scores = (vector * length.sqrt())?.squeeze(D::Minus1)?.to_vec1::<f64>()?;
    let sign =
        scores.iter().copied().fold(0.0f64, |far, v| if v.abs() > far.abs() { v } else { far }).signum();
    Ok(scores.into_iter().map(|v| v * sign).collect())
}

/// The patches that show the part, from their scores on the first principal component; `grid`: rows and columns.
///
/// The official code closes its mask while it is still one column of patches: along the raster order, over the ends of
/// rows.
pub fn mask(scores: &[f64], (rows, columns): (usize, usize), threshold: f64) -> Vec<bool> {
    let share = |side: usize| (side as f64 * 0.2) as usize..(side as f64 * 0.8) as usize;
    let mut found: Vec<bool> = scores.iter().map(|&v| v > threshold).collect();
    let centre: Vec<bool> = share(rows)
        .flat_map(|y| share(columns).map(move |x| y * columns + x))
        .filter_map(|at| found.get(at).copied())
        .collect();
    if centre.iter().filter(|&&inside| inside).count() as f64 <= centre.len() as f64 * CENTRE {
        found = scores.iter().map(|&v| -v > threshold).collect();
    }
    let grown = dilated(&dilated(&found));
    (0..grown.len()).map(|at| !near(&grown, at).contains(&false)).collect()
}

fn dilated(mask: &[bool]) -> Vec<bool> {
    (0..mask.len()).map(|at| near(mask, at).contains(&true)).collect()
}

/// A patch and its neighbours in raster order.
fn near(mask: &[bool], at: usize) -> &[bool] {
    &mask[at.saturating_sub(1)..(at + 2).min(mask.len())]
}
