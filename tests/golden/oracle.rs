//! The towers against `candle-transformers`' CLIP, written by others on the same tensors. It knows only QuickGELU,
//! the ordinary path and Hugging Face's names.

use aaclip::clip::{Activation, Checkpoint, Compute, SpecialTokens};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::clip::text_model::{Activation as Oracle, ClipTextConfig};
use candle_transformers::models::clip::vision_model::ClipVisionConfig;
use candle_transformers::models::clip::{ClipConfig, ClipModel};

use crate::support::{assert_close, hugging_face, tiny_model, tiny_tensors};

#[test]
fn both_towers_agree_with_candle_transformers() {
    let config = ClipConfig {
        text_config: ClipTextConfig {
            vocab_size: 49408,
            embed_dim: 8,
            activation: Oracle::QuickGelu,
            intermediate_size: 32,
            max_position_embeddings: 77,
            pad_with: None,
            num_hidden_layers: 1,
            num_attention_heads: 2,
            projection_dim: 16,
        },
        vision_config: ClipVisionConfig {
            embed_dim: 32,
            activation: Oracle::QuickGelu,
            intermediate_size: 128,
            num_hidden_layers: 4,
            num_attention_heads: 2,
            projection_dim: 16,
            num_channels: 3,
            image_size: 32,
            patch_size: 8,
        },
        logit_scale_init_value: 2.6592,
        image_size: 32,
    };
    let mut tensors = hugging_face(&tiny_tensors());
    tensors.insert("logit_scale".into(), Tensor::new(4.6f32, &Device::Cpu).unwrap());
    let oracle =
        ClipModel::new(VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu), &config).unwrap();

    let checkpoint = Checkpoint::open(tiny_model()).unwrap();
    let images = Tensor::randn(0f32, 1.0, (2, 3, 32, 32), &Device::Cpu).unwrap();
    let vision = checkpoint.vision(32, Activation::QuickGelu, &Compute::default()).unwrap();
    let expected = oracle.get_image_features(&images).unwrap();
    assert_close("image features", &vision.forward(&images, &[]).unwrap().0, &expected, 1e-5);

    let tokenizer = checkpoint.tokenizer(SpecialTokens::AaClip).unwrap();
    let text = checkpoint.text(Activation::QuickGelu, &Compute::default()).unwrap();
    for sentence in ["a photo of a bottle.", "x"] {
        let tokens = tokenizer.encode(sentence).unwrap();
        let ids = Tensor::new(vec![tokens.ids().to_vec()], &Device::Cpu).unwrap();
        let expected = oracle.get_text_features(&ids).unwrap();
        assert_close(sentence, &text.embed(&[tokens]).unwrap(), &expected, 1e-5);
    }
}
