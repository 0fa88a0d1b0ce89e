//! Plain CLIP towers, both activations, native and resized grid.

use aaclip::clip::{Activation, Checkpoint, Compute, SpecialTokens};
use candle_core::{D, Tensor};

use crate::support::{assert_close, case, golden_model, numbers, tensors};

const TOLERANCE: f32 = 1e-5;

#[test]
fn towers_match() {
    let (golden, case) = (tensors("clip_base"), case("clip_base"));
    let checkpoint = Checkpoint::open(golden_model()).unwrap();
    let tokenizer = checkpoint.tokenizer(SpecialTokens::ClipAd).unwrap();
    let sentences: Vec<_> = case["prompts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| tokenizer.encode(p.as_str().unwrap()).unwrap())
        .collect();
    let levels = numbers(&case["levels"]);
    let unit = |t: &Tensor| {
        t.broadcast_div(&t.sqr().unwrap().sum_keepdim(D::Minus1).unwrap().sqrt().unwrap()).unwrap()
    };
    for (key, activation) in [("gelu", Activation::Gelu), ("quickgelu", Activation::QuickGelu)] {
        let expect = |name: &str| &golden[&format!("{key}.{name}")];
        let check = |name: &str, found: &Tensor| {
            assert_close(&format!("{key}.{name}"), found, expect(name), TOLERANCE);
        };
        let text = checkpoint.text(activation, &Compute::default()).unwrap();
        let embedded = text.embed(&sentences).unwrap();
        check("text", &embedded);
        let first = text.blocks()[0].forward(&text.begin(&sentences[..2], 77).unwrap(), true).unwrap();
        check("text_block1_out", &first);

        let vision = checkpoint
            .vision(checkpoint.config().vision.image_size, activation, &Compute::default())
            .unwrap();
        check("ln_pre_out", &vision.embed(&golden["images"]).unwrap());
        let (pooled, tapped) = vision.forward(&golden["images"], &levels).unwrap();
        check("pooled", &pooled);
        for (level, tokens) in levels.iter().zip(&tapped) {
            check(&format!("patch_tokens.level{level}"), tokens);
        }
        let (_, first) = vision.forward(&golden["images"], &[1]).unwrap();
        check("block1_out", &first[0]);
        let last = tapped.last().unwrap();
        let patches = last.narrow(1, 1, last.dim(1).unwrap() - 1).unwrap();
        check("patch_tokens_projected.last", &vision.project(&patches).unwrap());
        check("cosine", &unit(&pooled).matmul(&unit(&embedded).t().unwrap()).unwrap());

        let big = &golden["images_big"];
        let vision = checkpoint.vision(big.dim(D::Minus1).unwrap(), activation, &Compute::default()).unwrap();
        check("big.pooled", &vision.forward(big, &[]).unwrap().0);
    }
}
