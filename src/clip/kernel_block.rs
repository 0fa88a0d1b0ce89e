//! A residual block of this crate's kernels: the CPU, without gradients.

use candle_core::{Result, Tensor};

use super::block::{AttentionRequest, BlockShape};
use super::config::Activation;
use super::cpu::{from_floats, with_floats};
use super::layers::Params;
use crate::kernels::{
    self, Attention, AttentionShape, Element, Isa, Nonlinearity, NormWeights, PackedLinear, Rows,
};

/// Pre-norm transformer block with packed weights.
#[derive(Debug)]
pub(super) struct KernelBlock {
    isa: Isa,
    heads: usize,
    ln_1: NormWeights,
    project_in: PackedLinear,
    project_out: PackedLinear,
    ln_2: NormWeights,
    expand: PackedLinear,
    activation: Nonlinearity,
    contract: PackedLinear,
    /// The element type of queries, keys and values.
    attended: Element,
}

impl KernelBlock {
    /// Reads and packs the block whose names begin with `prefix`.
    pub fn load(
        params: Params<'_>,
        prefix: &str,
        shape: BlockShape,
        element: Element,
    ) -> crate::Result<Self> {
        let name = |part: &str| format!("{prefix}{part}");
        let BlockShape { width, heads, mlp_width, norm_eps, activation } = shape;
        let isa = Isa::best();
        let linear = |weight: &str, bias: &str, io| params.packed(&name(weight), &name(bias), io, element);
        let norm = |part: &str| params.norm_weights(&name(part), width, norm_eps);
        // Small numbers in attention only where they are fast, and a head of an odd width cannot be paired.
        let even = (width / heads.max(1)).is_multiple_of(2);
        let attended = match element {
            Element::Bf16 if even => Element::Bf16,
            Element::Int8 if even && isa.has_bf16() => Element::Bf16,
            _ => Element::F32,
        };
        Ok(Self {
            isa,
            heads,
            ln_1: norm("ln_1")?,
            project_in: linear("attn.in_proj_weight", "attn.in_proj_bias", (width, 3 * width))?,
            project_out: linear("attn.out_proj.weight", "attn.out_proj.bias", (width, width))?,
            ln_2: norm("ln_2")?,
            expand: linear("mlp.c_fc.weight", "mlp.c_fc.bias", (width, mlp_width))?,
            activation: match activation {
                Activation::Gelu => Nonlinearity::Gelu,
                Activation::QuickGelu => Nonlinearity::QuickGelu,
            },
            contract: linear("mlp.c_proj.weight", "mlp.c_proj.bias", (mlp_width, width))?,
            attended,
        })
    }

    /// See [`super::block::Block::attend`].
    pub fn attend(&self, x: &Tensor, requests: &[AttentionRequest<'_>], causal: bool) -> Result<Vec<Tensor>> {
        let (batch, length, width) = x.dims3()?;
        let attended = with_floats(x, |values| {
            let normed = self.ln_1.rows(self.isa, values, self.project_in.element());
            let qkv = self.project_in.rows(&normed, Nonlinearity::None, self.attended);
            drop(normed);
            let shape = AttentionShape { batch, length, heads: self.heads, causal };
            let wanted: Vec<(Attention, usize)> = requests.iter().map(|r| (r.attention, r.tokens)).collect();
            Ok(kernels::attention(self.isa, &qkv, shape, &wanted))
        })?;
        let project = |rows: Rows, residual: Option<&[f32]>, tokens| {
            let rows = rows.into_element(self.isa, self.project_out.element());
            let projected = self.project_out.floats(&rows, Nonlinearity::None, residual);
            from_floats(projected, (batch, tokens, width))
        };
        let results = attended.into_iter().zip(requests).map(|(rows, request)| match request.add {
            None => project(rows, None, request.tokens),
            Some(add) => with_floats(add, |add| project(rows, Some(add), request.tokens)),
        });
        results.collect()
    }

    /// `x + mlp(ln_2(x))`.
    pub fn mlp(&self, x: &Tensor) -> Result<Tensor> {
        let shape = x.dims3()?;
        with_floats(x, |values| {
            let normed = self.ln_2.rows(self.isa, values, self.expand.element());
            let hidden = self.expand.rows(&normed, self.activation, self.contract.element());
            drop(normed);
            from_floats(self.contract.floats(&hidden, Nonlinearity::None, Some(values)), shape)
        })
    }
}
