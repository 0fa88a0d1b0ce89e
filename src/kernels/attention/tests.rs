//! Every attention against its definition.

use super::*;
use crate::kernels::linear::decode;
use crate::kernels::{Element, sample};

const KK: Attention = Attention::new(&[(Projected::Key, Projected::Key)]);
/// Two different projections of two pairs, no projection with itself.
const QV_KQ: Attention =
    Attention::new(&[(Projected::Query, Projected::Value), (Projected::Key, Projected::Query)]);

/// The definition, in f64: `[batch * length, width]`.
fn plain(qkv: &[f32], shape: AttentionShape, width: usize, attention: Attention) -> Vec<f64> {
    let head = width / shape.heads;
    let at = |s: usize, t: usize, part: Projected, c: usize| {
        f64::from(qkv[(s * shape.length + t) * 3 * width + part as usize * width + c])
    };
    let mut out = vec![0.0; shape.batch * shape.length * width];
    for s in 0..shape.batch {
        for h in 0..shape.heads {
            let columns = h * head..(h + 1) * head;
            for q in 0..shape.length {
                let seen = if shape.causal { q + 1 } else { shape.length };
                let mut total = vec![0.0; seen];
                for &(a, b) in attention.pairs() {
                    let score = |k: usize| -> f64 {
                        let product = columns.clone().map(|c| at(s, q, a, c) * at(s, k, b, c));
                        product.sum::<f64>() / (head as f64).sqrt()
                    };
                    let weights: Vec<f64> = (0..seen).map(|k| score(k).exp()).collect();
                    let sum: f64 = weights.iter().sum();
                    total.iter_mut().zip(weights).for_each(|(t, w)| *t += w / sum);
                }
                if attention == Attention::OWN {
                    total[q] = 1.0;
                }
                for c in columns.clone() {
                    out[(s * shape.length + q) * width + c] =
                        total.iter().enumerate().map(|(k, w)| w * at(s, k, Projected::Value, c)).sum();
                }
            }
        }
    }
    out
}

#[test]
fn every_attention_equals_the_definition() {
    let all = [Attention::QK, Attention::VV, Attention::QQ_KK_VV, KK, QV_KQ, Attention::OWN];
    for (batch, length, heads, head) in
        [(1, 1, 1, 2), (2, 5, 2, 4), (1, 33, 3, 6), (1, 70, 2, 64), (2, 101, 1, 40), (1, 15, 2, 72)]
    {
        let width = heads * head;
        let values: Vec<f32> = sample(batch * length * 3 * width, 7).iter().map(|v| v * 2.0).collect();
        for causal in [false, true] {
            let shape = AttentionShape { batch, length, heads, causal };
            let exact = all.map(|attention| plain(&values, shape, width, attention));
            for isa in Isa::all() {
                for (element, tolerance) in [(Element::F32, 3e-6), (Element::Bf16, 3e-2)] {
                    let qkv = Rows::from_floats(isa, &values, 3 * width, 3 * width, element);
                    let found = attention(isa, &qkv, shape, &all.map(|attention| (attention, length)));
                    for ((found, exact), attention) in found.iter().zip(&exact).zip(all) {
                        let tolerance = tolerance * attention.pairs().len().max(1) as f64;
                        for (found, exact) in decode(found).iter().zip(exact) {
                            let error = (f64::from(*found) - exact).abs();
                            assert!(
                                error < tolerance,
                                "{isa:?} {element:?} {shape:?} {head} {attention:?}: {error}"
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn each_attention_of_the_first_tokens_alone() {
    let (batch, length, width) = (2, 37, 16);
    let values = sample(batch * length * 3 * width, 7);
    for element in [Element::F32, Element::Bf16] {
        let qkv = Rows::from_floats(Isa::best(), &values, 3 * width, 3 * width, element);
        for causal in [false, true] {
            let shape = AttentionShape { batch, length, heads: 2, causal };
            let wanted = [
                (Attention::QQ_KK_VV, 1),
                (Attention::QK, 36),
                (Attention::QK, length),
                (Attention::OWN, 2),
                (Attention::VV, 0),
            ];
            let together = attention(Isa::best(), &qkv, shape, &wanted);
            for ((what, tokens), together) in wanted.into_iter().zip(together) {
                let all = decode(&attention(Isa::best(), &qkv, shape, &[(what, length)])[0]);
                let first = all.chunks(length * width).flat_map(|sequence| &sequence[..tokens * width]);
                assert_eq!(
                    decode(&together),
                    first.copied().collect::<Vec<_>>(),
                    "{element:?} {what:?} {causal}"
                );
            }
        }
    }
}

#[test]
fn sequences_computed_together_equal_each_alone() {
    // More sequences than are packed at once.
    let (batch, length, width) = (150, 5, 256);
    let values = sample(batch * length * 3 * width, 7);
    let find = |values: &[f32], batch| {
        let qkv = Rows::from_floats(Isa::best(), values, 3 * width, 3 * width, Element::F32);
        let shape = AttentionShape { batch, length, heads: 4, causal: false };
        decode(&attention(Isa::best(), &qkv, shape, &[(Attention::QK, length)])[0])
    };
    let together = find(&values, batch);
    for (sequence, values) in values.chunks(length * 3 * width).enumerate() {
        assert_eq!(together[sequence * length * width..][..length * width], find(values, 1), "{sequence}");
    }
}

#[test]
fn large_scores_do_not_overflow() {
    let values: Vec<f32> = sample(40 * 3 * 8, 7).iter().map(|v| v * 1e5).collect();
    let shape = AttentionShape { batch: 1, length: 40, heads: 1, causal: false };
    let wanted = [(Attention::QK, 40), (Attention::VV, 40), (Attention::QQ_KK_VV, 40)];
    for isa in Isa::all() {
        let qkv = Rows::from_floats(isa, &values, 24, 24, Element::F32);
        for (rows, most) in attention(isa, &qkv, shape, &wanted).iter().zip([1e5, 1e5, 3.001e5]) {
            assert!(decode(rows).iter().all(|v| v.abs() <= most));
        }
        let mut spoiled = values.clone();
        spoiled[9] = f32::NAN;
        let qkv = Rows::from_floats(isa, &spoiled, 24, 24, Element::F32);
        for (rows, what) in attention(isa, &qkv, shape, &wanted).iter().zip(["Q-K", "V-V", "sum"]) {
            // A key of the first token: V-V does not read it.
            assert_eq!(decode(rows).iter().any(|v| v.is_nan()), what != "V-V", "{isa:?} {what}");
        }
    }
}
