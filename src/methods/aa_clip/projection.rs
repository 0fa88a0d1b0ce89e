//! Multiplies tokens by a matrix: with candle if gradients are needed, else with this crate's kernels.

use std::sync::Arc;

use candle_core::{D, Result, Tensor};

use super::Share;
use crate::clip::cpu::{from_floats, with_floats};
use crate::kernels::{Element, Isa, Nonlinearity, PackedLinear, Rows, mix_at_length};

/// A weight `[O, I]`.
#[derive(Debug, Clone)]
pub(super) struct Projection {
    weight: Tensor,
    packed: Option<Arc<PackedLinear>>,
}

impl Projection {
    pub fn new(weight: Tensor) -> Self {
        Self { weight, packed: None }
    }

    /// The same projection, packed for inference on the CPU; unchanged on other devices.
    pub fn packed(self) -> Result<Self> {
        if !self.weight.device().is_cpu() {
            return Ok(self);
        }
        let inputs = self.weight.dim(1)?;
        let weight = self.weight.detach();
        let packed =
            with_floats(&weight, |w| Ok(PackedLinear::new(Isa::best(), Element::F32, inputs, w, None)))?;
        Ok(Self { packed: Some(Arc::new(packed)), ..self })
    }

    /// `x W^T` for every row of `[.., I]`, followed by a leaky ReLU if `relu`.
    pub fn forward(&self, x: &Tensor, relu: bool) -> Result<Tensor> {
        let (outputs, inputs) = self.weight.dims2()?;
        let mut shape = x.dims().to_vec();
        if let Some(last) = shape.last_mut() {
            if *last != inputs {
                candle_core::bail!("the tokens have width {last}, but the adapters have width {inputs}");
            }
            *last = outputs;
        }
        if let (Some(packed), false) = (&self.packed, x.track_op()) {
            return with_floats(x, |x| from_floats(product(packed, x, relu), shape));
        }
        // One product over all rows, because a batched product would copy the weight for every picture.
        let y = x.contiguous()?.reshape(((), inputs))?.matmul(&self.weight.t()?)?.reshape(shape)?;
        if relu { leaky_relu(&y) } else { Ok(y) }
    }

    /// AA-CLIP's residual adapter for every token of `[B, L, W]`, with a weight of `[W, W]`: `a = LeakyReLU(x
    /// A^T)`, scaled to the length of `x`, then `share a + (1 - share) x` (section 3.2).
    pub fn residual(&self, x: &Tensor, share: Share) -> Result<Tensor> {
        if let (Some(packed), false, true) =
            (&self.packed, x.track_op(), self.weight.dims() == [x.dim(D::Minus1)?; 2])
        {
            return with_floats(x, |values| {
                let mut adapted = product(packed, values, true);
                mix_at_length(Isa::best(), values, &mut adapted, packed.outputs(), share.value() as f32);
                from_floats(adapted, x.shape())
            });
        }
        let adapted = self.forward(x, true)?;
        let norm = |t: &Tensor| t.sqr()?.sum_keepdim(D::Minus1)?.sqrt();
        let scale = norm(x)?.broadcast_div(&norm(&adapted)?)?;
        adapted.broadcast_mul(&scale)?.affine(share.value(), 0.0)? + x.affine(1.0 - share.value(), 0.0)?
    }
}

fn product(packed: &PackedLinear, x: &[f32], relu: bool) -> Vec<f32> {
    let act = if relu { Nonlinearity::LeakyRelu } else { Nonlinearity::None };
    packed.floats(
        &Rows::from_floats(Isa::best(), x, packed.inputs(), packed.inputs(), Element::F32),
        act,
        None,
    )
}

/// `max(x, 0.01 x)`.
pub(super) fn leaky_relu(x: &Tensor) -> Result<Tensor> {
    x.maximum(&(x * 0.01)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn kernels_and_graph_agree() {
        let random = |shape: &[usize]| Tensor::randn(0f32, 1.0, shape, &Device::Cpu).unwrap();
        let (x, weight) = (random(&[2, 5, 24]), random(&[24, 24]));
        let graph = Projection::new(weight);
        let packed = graph.clone().packed().unwrap();
        let apart = |a: Tensor, b: Tensor| {
            (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap()
        };
        for relu in [false, true] {
            assert!(apart(graph.forward(&x, relu).unwrap(), packed.forward(&x, relu).unwrap()) < 1e-5);
        }
        let mixed = |p: &Projection| p.residual(&x, Share::AA_CLIP).unwrap();
        assert!(apart(mixed(&graph), mixed(&packed)) < 1e-5);
        assert!(packed.forward(&random(&[1, 2, 23]), false).is_err());
    }
}
