//! Gradients through a tower with the memory of one block.

use std::collections::BTreeMap;

use candle_core::{Result, Tensor, Var};

use super::adam::{Adam, Gradients};

/// A pass through a tower's blocks that stores only each block's input. The backward pass runs every block
/// again for the intermediate values.
pub struct Walk<'a> {
    /// Runs the block with this 0-based index, with its adapter.
    block: &'a dyn Fn(usize, &Tensor) -> Result<Tensor>,
    inputs: Vec<Tensor>,
    /// The tokens after the last block.
    last: Tensor,
}

impl<'a> Walk<'a> {
    /// Runs `count` blocks on `x` without a graph.
    ///
    /// # Errors
    /// Errors of `block`.
    pub fn forward(
        x: &Tensor,
        count: usize,
        block: &'a dyn Fn(usize, &Tensor) -> Result<Tensor>,
    ) -> Result<Self> {
        let mut inputs = Vec::with_capacity(count);
        let mut x = x.detach();
        for i in 0..count {
            let next = block(i, &x)?.detach();
            inputs.push(std::mem::replace(&mut x, next));
        }
        Ok(Self { block, inputs, last: x })
    }

    /// The tokens after the 1-based `level`.
    pub fn level(&self, level: usize) -> &Tensor {
        self.inputs.get(level).unwrap_or(&self.last)
    }

    /// Adds the gradients of the blocks' adapters to `gradients`, given the gradients of the tokens after
    /// some levels (1-based).
    ///
    /// # Errors
    /// Errors of `block`, or an operation without a backward pass.
    pub fn backward(
        &self,
        mut at_levels: BTreeMap<usize, Tensor>,
        adam: &Adam,
        gradients: &mut Gradients,
    ) -> Result<()> {
        let mut above: Option<Tensor> = None;
        for i in (0..self.inputs.len()).rev() {
            let here = at_levels.remove(&(i + 1));
            let Some(gradient) = sum(above.take(), here)? else { continue };
            let x = Var::from_tensor(&self.inputs[i])?;
            let y = (self.block)(i, &x)?;
            let found = (y * gradient.detach())?.sum_all()?.backward()?;
            gradients.add(adam, &found)?;
            above = found.get(&x).map(Tensor::detach);
        }
        Ok(())
    }
}

fn sum(a: Option<Tensor>, b: Option<Tensor>) -> Result<Option<Tensor>> {
    Ok(match (a, b) {
        (Some(a), Some(b)) => Some((a + b)?),
        (a, b) => a.or(b),
    })
}
