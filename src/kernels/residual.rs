//! AA-CLIP's mixture of a token and its adapted version.

use rayon::prelude::*;

use super::isa::{Isa, vectorised};

/// Scales each row of `adapted` to the length of the same row of `x` and mixes them with weights `share` and
/// `1 - share`. Both are `[rows, width]`; the result replaces `adapted`. (AA-CLIP, section 3.2.)
pub(crate) fn mix_at_length(isa: Isa, x: &[f32], adapted: &mut [f32], width: usize, share: f32) {
    let width = width.max(1);
    let rows = adapted.par_chunks_exact_mut(width).zip(x.par_chunks_exact(width)).with_min_len(8);
    rows.for_each(|(adapted, x)| mix_row(isa, x, adapted, share));
}

vectorised! {
    fn mix_row(x: &[f32], adapted: &mut [f32], share: f32) {
        let scale = share * (sum_of_squares(x).sqrt() / sum_of_squares(adapted).sqrt());
        for (a, x) in adapted.iter_mut().zip(x) {
            *a = *a * scale + (1.0 - share) * x;
        }
    }
}

/// In sixteen parallel sums, so that their order does not depend on the instruction set.
#[inline(always)]
fn sum_of_squares(x: &[f32]) -> f32 {
    let (chunks, rest) = x.as_chunks::<16>();
    let mut sums = [0f32; 16];
    for chunk in chunks {
        for (s, v) in sums.iter_mut().zip(chunk) {
            *s += v * v;
        }
    }
    let mut total = 0.0;
    for s in sums {
        total += s;
    }
    for v in rest {
        total += v * v;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::sample;

    #[test]
    fn rows_keep_their_length() {
        let (width, x) = (37, sample(3 * 37, 1));
        for isa in Isa::all() {
            let mut all = sample(3 * 37, 2).iter().map(|v| v * 9.0).collect::<Vec<_>>();
            mix_at_length(isa, &x, &mut all, width, 1.0);
            for (row, x) in all.chunks(width).zip(x.chunks(width)) {
                assert!((sum_of_squares(row) / sum_of_squares(x) - 1.0).abs() < 1e-5);
            }
            mix_at_length(isa, &x, &mut all, width, 0.0);
            assert_eq!(all, x);
        }
    }
}
