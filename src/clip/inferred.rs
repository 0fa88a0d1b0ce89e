//! The configuration of a model from the shapes of its tensors.

use super::config::{Activation, ClipConfig, Normalisation, TextConfig, VisionConfig};
use crate::weights::{ClipTensors, WeightsError};

/// Width of an attention head, of both towers of OpenAI's models and nearly all of open_clip's.
const HEAD_WIDTH: usize = 64;

/// Widths of the image towers with heads of another width: open_clip's ViT-H, ViT-g and ViT-bigG.
const OTHER_HEADS: [(usize, usize); 3] = [(1280, 80), (1408, 88), (1664, 104)];

/// Only OpenAI's archives have this constant beside the weights, and keep it when they are saved again.
const OPENAI: &str = "input_resolution";

impl ClipConfig {
    /// The configuration that the shapes of a checkpoint imply. What shapes do not tell follows rules: heads are 64 wide
    /// (those of ViT-H, -g and -bigG as published); pixels are normalised as in OpenAI's training; the activation is
    /// QuickGELU for OpenAI's own archives and under transformers' names, as there by default, else GELU.
    ///
    /// # Errors
    /// The checkpoint is not a CLIP model with a ViT, or a width is not a multiple of a head's.
    pub(super) fn from_tensors(tensors: &ClipTensors) -> Result<Self, WeightsError> {
        let shapes = Shapes(tensors);
        let [width, _, patch_size, _] = shapes.of("visual.conv1.weight", "[width, 3, P, P]")?;
        let [positions, _] = shapes.of("visual.positional_embedding", "[1 + patches, width]")?;
        let grid = positions.saturating_sub(1).isqrt();
        if width == 0 || patch_size == 0 || grid == 0 || grid * grid + 1 != positions {
            return Err(shapes.wrong("visual.positional_embedding", "one row and a square number of patches"));
        }
        let [_, embed_dim] = shapes.of("visual.proj", "[width, shared width]")?;
        let [vocab_size, text_width] = shapes.of("token_embedding.weight", "[words, width]")?;
        let [context_length, _] = shapes.of("positional_embedding", "[tokens, width]")?;
        if context_length < 3 {
            return Err(shapes.wrong("positional_embedding", "at least 3 tokens"));
        }
        let [vision_mlp, _] =
            shapes.of("visual.transformer.resblocks.0.mlp.c_fc.weight", "[width, width]")?;
        let [text_mlp, _] = shapes.of("transformer.resblocks.0.mlp.c_fc.weight", "[width, width]")?;
        let head =
            OTHER_HEADS.iter().find(|(other, _)| *other == width).map_or(HEAD_WIDTH, |(_, head)| *head);
        if width % head != 0 {
            return Err(
                shapes.wrong("visual.conv1.weight", "a multiple of 64 (or a configuration beside the file)")
            );
        }
        if text_width == 0 || text_width % HEAD_WIDTH != 0 {
            return Err(shapes.wrong(
                "token_embedding.weight",
                "a width that is a multiple of 64 (or a configuration beside the file)",
            ));
        }
        let names = tensors.store().names();
        let is_openai = names.iter().any(|n| *n == OPENAI || n.ends_with(".input_resolution"));
        Ok(Self {
            embed_dim,
            vision: VisionConfig {
                image_size: grid * patch_size,
                layers: shapes.layers("visual."),
                width,
                heads: width / head,
                patch_size,
                mlp_width: vision_mlp,
                ln_pre: tensors.shape("visual.ln_pre.weight").is_some(),
                norm_eps: 1e-5,
            },
            text: TextConfig {
                context_length,
                vocab_size,
                width: text_width,
                heads: text_width / HEAD_WIDTH,
                layers: shapes.layers(""),
                mlp_width: text_mlp,
                norm_eps: 1e-5,
            },
            activation: if is_openai || tensors.is_hugging_face() {
                Activation::QuickGelu
            } else {
                Activation::Gelu
            },
            normalisation: Normalisation::default(),
        })
    }
}

struct Shapes<'a>(&'a ClipTensors);

impl Shapes<'_> {
    fn of<const N: usize>(&self, name: &str, expected: &'static str) -> Result<[usize; N], WeightsError> {
        let store = self.0.store();
        let Some(shape) = self.0.shape(name) else {
            let names = store.names();
            return Err(WeightsError::NotClip {
                file: store.path().to_owned(),
                missing: name.to_owned(),
                count: names.len(),
                first: names.first().map(|n| (*n).to_owned()),
            });
        };
        shape.try_into().map_err(|_| self.wrong(name, expected))
    }

    fn wrong(&self, name: &str, expected: &'static str) -> WeightsError {
        WeightsError::Shapeless {
            file: self.0.store().path().to_owned(),
            problem: format!("tensor `{name}` has shape {:?}", self.0.shape(name).unwrap_or_default()),
            expected,
        }
    }

    /// The number of blocks of a tower.
    fn layers(&self, tower: &str) -> usize {
        let block =
            |i: &usize| self.0.shape(&format!("{tower}transformer.resblocks.{i}.ln_1.weight")).is_some();
        (0..).take_while(block).count()
    }
}
