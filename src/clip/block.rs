//! One residual block of a tower.

use candle_core::{Result, Tensor};
use candle_nn::Module;

use super::attention::{Attention, Heads};
use super::config::Activation;
use super::layers::{Mlp, Norm, Params};

/// Pre-norm transformer block: `x + attn(ln_1(x))`, then `x + mlp(ln_2(x))`.
#[derive(Debug, Clone)]
pub(super) struct Block {
    ln_1: Norm,
    pub attention: Attention,
    ln_2: Norm,
    mlp: Mlp,
}

/// What a tower's blocks have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockShape {
    pub width: usize,
    pub heads: usize,
    pub mlp_width: usize,
    pub norm_eps: f64,
    pub activation: Activation,
}

impl Block {
    /// Reads block `index` of the tower whose names begin with `tower` (`"visual."` or `""`).
    pub fn load(params: Params<'_>, tower: &str, index: usize, shape: BlockShape) -> crate::Result<Self> {
        let name = |part: &str| format!("{tower}transformer.resblocks.{index}.{part}");
        let BlockShape { width, heads, mlp_width, norm_eps, activation } = shape;
        let linear = |part: &str, io| {
            params.linear(&name(&format!("{part}.weight")), &name(&format!("{part}.bias")), io)
        };
        Ok(Self {
            ln_1: params.norm(&name("ln_1"), width, norm_eps)?,
            attention: Attention {
                project_in: params.linear(
                    &name("attn.in_proj_weight"),
                    &name("attn.in_proj_bias"),
                    (width, 3 * width),
                )?,
                project_out: linear("attn.out_proj", (width, width))?,
                heads,
            },
            ln_2: params.norm(&name("ln_2"), width, norm_eps)?,
            mlp: Mlp {
                expand: linear("mlp.c_fc", (width, mlp_width))?,
                contract: linear("mlp.c_proj", (mlp_width, width))?,
                activation,
            },
        })
    }

    /// The queries, keys and values of `ln_1(x)`.
    pub fn heads(&self, x: &Tensor) -> Result<Heads> {
        self.attention.split(&self.ln_1.forward(x)?)
    }

    /// `x + mlp(ln_2(x))`.
    pub fn add_mlp(&self, x: &Tensor) -> Result<Tensor> {
        x + self.mlp.forward(&self.ln_2.forward(x)?)?
    }

    /// The whole block, `[B, L, C]` to `[B, L, C]`.
    pub fn forward(&self, x: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let heads = self.heads(x)?;
        self.add_mlp(&(x + self.attention.query_key(&heads, mask)?)?)
    }
}
