//! Both engines against each other, and gradients against differences.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Var};

use super::*;
use crate::kernels::{Element, Projected};
use crate::weights::{ClipTensors, Parameter, StoredType, TensorInfo, TensorStore, WeightsError};

const KK: Attention = Attention::new(&[(Projected::Key, Projected::Key)]);
const ALL: [Attention; 5] = [Attention::QK, Attention::VV, Attention::QQ_KK_VV, KK, Attention::OWN];

/// Tensors in memory.
struct Values(BTreeMap<String, (TensorInfo, Vec<f32>)>, BTreeMap<String, String>);

impl TensorStore for Values {
    fn path(&self) -> &Path {
        Path::new("in memory")
    }

    fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.0.get(name).map(|(info, _)| info)
    }

    fn metadata(&self) -> &BTreeMap<String, String> {
        &self.1
    }

    fn read_unchecked(&self, name: &str) -> std::result::Result<Vec<f32>, WeightsError> {
        Ok(self.0[name].1.clone())
    }
}

fn random(count: usize, seed: u32) -> Vec<f32> {
    let value = |i: u32| {
        let h = (i ^ seed.wrapping_mul(0x9E37_79B9)).wrapping_mul(0x85EB_CA6B);
        let h = (h ^ (h >> 13)).wrapping_mul(0xC2B2_AE35);
        ((h ^ (h >> 16)) >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count as u32).map(value).collect()
}

fn tokens(batch: usize, length: usize, width: usize, seed: u32) -> Tensor {
    let values = random(batch * length * width, seed);
    Tensor::from_vec(values, (batch, length, width), &Device::Cpu).unwrap()
}

/// A block of random weights, once for each engine.
fn blocks<const N: usize>(width: usize, heads: usize, engines: [Engine; N]) -> [Block; N] {
    let shape =
        BlockShape { width, heads, mlp_width: 2 * width, norm_eps: 1e-5, activation: Activation::QuickGelu };
    let parts: [(&str, &[usize]); 12] = [
        ("ln_1.weight", &[width]),
        ("ln_1.bias", &[width]),
        ("attn.in_proj_weight", &[3 * width, width]),
        ("attn.in_proj_bias", &[3 * width]),
        ("attn.out_proj.weight", &[width, width]),
        ("attn.out_proj.bias", &[width]),
        ("ln_2.weight", &[width]),
        ("ln_2.bias", &[width]),
        ("mlp.c_fc.weight", &[2 * width, width]),
        ("mlp.c_fc.bias", &[2 * width]),
        ("mlp.c_proj.weight", &[width, 2 * width]),
        ("mlp.c_proj.bias", &[width]),
    ];
    let expected = parts.map(|(name, shape)| Parameter {
        name: format!("transformer.resblocks.0.{name}"),
        shape: shape.to_vec(),
    });
    let values = expected.iter().zip(1..).map(|(parameter, seed)| {
        let info = TensorInfo { dtype: StoredType::F32, shape: parameter.shape.clone() };
        let scale = 2.0 / (width as f32).sqrt();
        let values = random(info.shape.iter().product(), seed).iter().map(|v| v * scale).collect();
        (parameter.name.clone(), (info, values))
    });
    let store = Values(values.collect(), BTreeMap::new());
    let tensors = ClipTensors::new(Box::new(store), &expected).unwrap();
    let params = Params { tensors: &tensors, device: &Device::Cpu };
    engines.map(|engine| Block::load(params, "", 0, shape, engine).unwrap())
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    let difference = (a - b).unwrap().abs().unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    // `f32::max` would hide values that are not numbers.
    difference.into_iter().fold(0.0, |largest, d| if d <= largest { largest } else { d })
}

#[test]
fn kernels_and_graph_agree() {
    let kernels = [(Element::F32, 1e-5), (Element::Bf16, 5e-2), (Element::Int8, 1e-1)]
        .map(|(e, t)| (Engine::Kernels(e), t));
    for (batch, length, heads, head) in
        [(1, 1, 1, 2), (2, 5, 2, 4), (1, 33, 3, 6), (3, 70, 2, 64), (1, 35, 2, 7), (2, 101, 1, 40)]
    {
        let width = heads * head;
        let [graph] = blocks(width, heads, [Engine::Graph(DType::F32)]);
        let blocks = blocks(width, heads, kernels.map(|(engine, _)| engine));
        let (x, add) = (tokens(batch, length, width, 98), tokens(batch, length, width, 99));
        let requests = ALL.iter().zip([None, Some(&add)].into_iter().cycle()).flat_map(|(attention, add)| {
            let some = [length, length.div_ceil(2), 1];
            some.map(|tokens| AttentionRequest { attention: *attention, tokens, add })
        });
        let requests: Vec<AttentionRequest<'_>> = requests.collect();
        for causal in [false, true] {
            let run = |block: &Block| {
                let mut results = block.attend(&x, &requests, causal).unwrap();
                results.extend([block.mlp(&x).unwrap(), block.forward(&x, causal).unwrap()]);
                results
            };
            let exact = run(&graph);
            for (block, (engine, tolerance)) in blocks.iter().zip(kernels) {
                for (i, (found, exact)) in run(block).iter().zip(&exact).enumerate() {
                    let error = largest_difference(found, exact);
                    let what = requests.get(i).map(|r| (r.attention, r.tokens));
                    assert!(error < tolerance, "{engine:?} {:?} {causal} {what:?}: {error}", x.shape());
                }
            }
        }
    }
}

#[test]
fn gradients_pass_through_every_attention() {
    let (length, width) = (5, 6);
    let [block] = blocks(width, 2, [Engine::Graph(DType::F32)]);
    let x = Var::from_tensor(&tokens(1, length, width, 98)).unwrap();
    let factors = tokens(1, 3, width, 99);
    for attention in ALL {
        for causal in [false, true] {
            let loss = |x: &Tensor| {
                let request = AttentionRequest { attention, tokens: 3, add: Some(x) };
                let attended = block.attend_one(x, request, causal).unwrap();
                (attended * &factors).unwrap().sum_all().unwrap()
            };
            let grads = loss(&x).backward().unwrap();
            let found: Vec<f32> = grads.get(&x).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let values: Vec<f32> = x.flatten_all().unwrap().to_vec1().unwrap();
            for (i, found) in found.into_iter().enumerate() {
                let moved = |by: f32| {
                    let mut values = values.clone();
                    values[i] += by;
                    let x = Tensor::from_vec(values, (1, length, width), &Device::Cpu).unwrap();
                    loss(&x).to_scalar::<f32>().unwrap()
                };
                let expected = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                assert!((found - expected).abs() < 1e-2, "{attention:?} {causal} {i}: {found} {expected}");
            }
        }
    }
}

#[test]
fn requests_that_do_not_fit_are_refused() {
    for block in blocks(6, 2, [Engine::Graph(DType::F32), Engine::Kernels(Element::F32)]) {
        let x = tokens(2, 5, 6, 98);
        let refused = |x: &Tensor, tokens, add: Option<&Tensor>| {
            let request = AttentionRequest { attention: Attention::QK, tokens, add };
            block.attend_one(x, request, false).unwrap_err().to_string()
        };
        assert!(refused(&x, 6, None).contains("6 tokens"), "{}", refused(&x, 6, None));
        for (batch, length, width) in [(1, 5, 6), (2, 2, 6), (2, 5, 5)] {
            let message = refused(&x, 3, Some(&tokens(batch, length, width, 99)));
            assert!(message.contains("[2, 3 or more, 6]"), "{message}");
        }
        assert!(refused(&tokens(2, 5, 7, 98), 5, None).contains("[B, L, 6]"));
        assert!(block.mlp(&tokens(2, 5, 7, 98)).is_err());
        assert!(block.forward(&x.narrow(2, 0, 3).unwrap(), false).is_err());
    }
}
