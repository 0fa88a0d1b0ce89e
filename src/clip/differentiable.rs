//! Differentiable parts of a block with the speed of the parts without gradients.
//!
//! candle's fused softmax and LayerNorm have no backward pass, and its matrix product computes the gradients
//! of both factors, although a frozen weight needs none. Here the forward pass is always the fused one; if a
//! gradient may be needed, the result is inserted into the graph together with the formula of its backward
//! pass. Weights are constants without gradients.

use candle_core::{CpuStorage, CustomOp1, D, Layout, Result, Shape, Storage, Tensor};
use candle_nn::{LayerNorm, Linear, Module};

/// `x W^T + b`, `[.., I]` to `[.., O]`.
pub(super) fn linear(layer: &Linear, x: &Tensor) -> Result<Tensor> {
    let weight = layer.weight().clone();
    known(
        x,
        "linear",
        |x| layer.forward(x),
        move |_, _, grad| {
            let (outputs, inputs) = weight.dims2()?;
            let rows = grad.elem_count() / outputs.max(1);
            let mut shape = grad.dims().to_vec();
            if let Some(last) = shape.last_mut() {
                *last = inputs;
            }
            grad.reshape((rows, outputs))?.matmul(&weight)?.reshape(shape)
        },
    )
}

/// Softmax over the last axis.
pub(super) fn softmax(x: &Tensor) -> Result<Tensor> {
    known(x, "softmax", candle_nn::ops::softmax_last_dim, |_, y, grad| {
        let product = (grad * y)?;
        let sum = product.sum_keepdim(D::Minus1)?;
        product - y.broadcast_mul(&sum)?
    })
}

/// LayerNorm over the last axis.
pub(super) fn norm(norm: &LayerNorm, eps: f64, x: &Tensor) -> Result<Tensor> {
    let weight = norm.weight().clone();
    known(
        x,
        "layer-norm",
        |x| norm.forward(x),
        move |x, _, grad| {
            let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
            let deviation = (centred.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?;
            let unit = centred.broadcast_div(&deviation)?;
            let grad = grad.broadcast_mul(&weight)?;
            let along = (&grad * &unit)?.mean_keepdim(D::Minus1)?;
            let rest = (grad.broadcast_sub(&grad.mean_keepdim(D::Minus1)?)? - unit.broadcast_mul(&along)?)?;
            rest.broadcast_div(&deviation)
        },
    )
}

/// The exact GELU.
pub(super) fn gelu(x: &Tensor) -> Result<Tensor> {
    known(x, "gelu", Tensor::gelu_erf, |x, _, grad| {
        let density = (x.sqr()? * -0.5)?.exp()?.affine(1.0 / (2.0 * std::f64::consts::PI).sqrt(), 0.0)?;
        let below = (x * std::f64::consts::FRAC_1_SQRT_2)?.erf()?.affine(0.5, 0.5)?;
        grad * (below + (x * density)?)?
    })
}

/// `x sigmoid(1.702 x)`.
pub(super) fn quick_gelu(x: &Tensor) -> Result<Tensor> {
    let forward = |x: &Tensor| x * candle_nn::ops::sigmoid(&(x * 1.702)?)?;
    known(x, "quick-gelu", forward, |x, _, grad| {
        let gate = candle_nn::ops::sigmoid(&(x * 1.702)?)?;
        let slope = ((x * 1.702)? * gate.affine(-1.0, 1.0)?)?.affine(1.0, 1.0)?;
        grad * (gate * slope)?
    })
}

/// `forward(x)`, with `backward(x, y, dy)` as its gradient if one may be needed.
fn known<B>(
    x: &Tensor,
    name: &'static str,
    forward: impl Fn(&Tensor) -> Result<Tensor>,
    backward: B,
) -> Result<Tensor>
where
    B: Fn(&Tensor, &Tensor, &Tensor) -> Result<Tensor> + Send + Sync + 'static,
{
    if !x.track_op() {
        return forward(x);
    }
    let value = forward(&x.detach())?.contiguous()?;
    x.contiguous()?.apply_op1(Known { name, value, backward })
}

/// An operation with a known result.
struct Known<B> {
    name: &'static str,
    value: Tensor,
    backward: B,
}

impl<B> CustomOp1 for Known<B>
where
    B: Fn(&Tensor, &Tensor, &Tensor) -> Result<Tensor>,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        match &*self.value.storage_and_layout().0 {
            Storage::Cpu(values) => Ok((values.clone(), self.value.shape().clone())),
            _ => candle_core::bail!("{}: the result is on another device", self.name),
        }
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        _: &candle_core::CudaStorage,
        _: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        use candle_core::backend::BackendStorage;
        let (storage, layout) = self.value.storage_and_layout();
        match &*storage {
            Storage::Cuda(values) => Ok((values.try_clone(layout)?, self.value.shape().clone())),
            _ => candle_core::bail!("{}: the result is on another device", self.name),
        }
    }

    #[cfg(feature = "metal")]
    fn metal_fwd(
        &self,
        _: &candle_core::MetalStorage,
        _: &Layout,
    ) -> Result<(candle_core::MetalStorage, Shape)> {
        use candle_core::backend::BackendStorage;
        let (storage, layout) = self.value.storage_and_layout();
        match &*storage {
            Storage::Metal(values) => Ok((values.try_clone(layout)?, self.value.shape().clone())),
            _ => candle_core::bail!("{}: the result is on another device", self.name),
        }
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        // Second derivatives are never needed.
        (self.backward)(&x.detach(), &y.detach(), &grad.detach()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    fn pseudo_random(shape: &[usize], seed: u32) -> Tensor {
        let count: usize = shape.iter().product();
        let values = (0..count as u32).map(|i| {
            let h = (i ^ seed.wrapping_mul(0x9E37_79B9)).wrapping_mul(0x85EB_CA6B) ^ (i << 7);
            (h.wrapping_mul(0xC2B2_AE35) >> 8) as f32 / (1 << 23) as f32 - 1.0
        });
        Tensor::from_iter(values, &Device::Cpu).unwrap().reshape(shape).unwrap()
    }

    /// Compares the gradient of `sum(f(x) * c)` with central differences.
    fn check(f: impl Fn(&Tensor) -> Result<Tensor>) {
        let x = Var::from_tensor(&pseudo_random(&[2, 3, 8], 1)).unwrap();
        let y = f(&x).unwrap();
        let c = pseudo_random(y.dims(), 2);
        assert_eq!(
            y.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
            f(&x.detach()).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
        );
        let grads = (&y * &c).unwrap().sum_all().unwrap().backward().unwrap();
        let found: Vec<f32> = grads.get(&x).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let values: Vec<f32> = x.flatten_all().unwrap().to_vec1().unwrap();
        let loss = |values: Vec<f32>| {
            let x = Tensor::from_vec(values, (2, 3, 8), &Device::Cpu).unwrap();
            let terms: Vec<f32> = (f(&x).unwrap() * &c).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            terms.into_iter().map(f64::from).sum::<f64>()
        };
        for i in 0..values.len() {
            let moved = |by: f32| {
                let mut v = values.clone();
                v[i] += by;
                loss(v)
            };
            let expected = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!((f64::from(found[i]) - expected).abs() < 2e-3, "{i}: {} {expected}", found[i]);
        }
    }

    #[test]
    fn gradients_equal_central_differences() {
        let layer = Linear::new(pseudo_random(&[5, 8], 3), Some(pseudo_random(&[5], 4)));
        check(|x| linear(&layer, x));
        check(softmax);
        let layer = LayerNorm::new(pseudo_random(&[8], 5), pseudo_random(&[8], 6), 1e-5);
        check(|x| norm(&layer, 1e-5, x));
        check(gelu);
        check(quick_gelu);
    }
}
