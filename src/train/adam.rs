//! The Adam optimiser, with a state that can be saved.

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var};

/// The constants of Adam (without weight decay), as PyTorch applies them.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct AdamSettings {
    /// Learning rate.
    pub rate: f64,
    /// Decay of the mean gradient.
    pub beta1: f64,
    /// Decay of the mean squared gradient.
    pub beta2: f64,
    /// Added to the root of the squared gradient.
    pub epsilon: f64,
}

/// A variable with its Adam state.
#[derive(Debug, Clone)]
pub struct Trained {
    /// Its name among the adapters.
    pub name: String,
    /// The variable.
    pub var: Var,
    /// Mean gradient.
    pub mean: Tensor,
    /// Mean squared gradient.
    pub square: Tensor,
}

/// An optimiser over named variables.
#[derive(Debug, Clone)]
pub struct Adam {
    /// Its constants.
    pub settings: AdamSettings,
    /// Number of steps taken.
    pub steps: usize,
    /// The trained variables.
    pub trained: Vec<Trained>,
}

impl Adam {
    /// An optimiser before its first step.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn new(settings: AdamSettings, vars: impl IntoIterator<Item = (String, Var)>) -> Result<Self> {
        let remember = |(name, var): (String, Var)| {
            let zeros = var.zeros_like()?;
            Ok(Trained { name, mean: zeros.clone(), square: zeros, var })
        };
        Ok(Self { settings, steps: 0, trained: vars.into_iter().map(remember).collect::<Result<_>>()? })
    }

    /// One step with learning rate `rate`. A variable without a gradient stays unchanged.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn step(&mut self, gradients: &Gradients, rate: f64) -> Result<()> {
        self.steps += 1;
        let AdamSettings { beta1, beta2, epsilon, .. } = self.settings;
        let corrected = |beta: f64| 1.0 - beta.powi(self.steps as i32);
        let (first, second) = (corrected(beta1), corrected(beta2));
        for (trained, gradient) in self.trained.iter_mut().zip(&gradients.0) {
            let Some(gradient) = gradient else { continue };
            trained.mean = ((&trained.mean * beta1)? + (gradient * (1.0 - beta1))?)?;
            trained.square = ((&trained.square * beta2)? + (gradient.sqr()? * (1.0 - beta2))?)?;
            let root = (trained.square.sqrt()? / second.sqrt())?.affine(1.0, epsilon)?;
            let change = (trained.mean.div(&root)? * (rate / first))?;
            trained.var.set(&(trained.var.as_tensor() - change)?)?;
        }
        Ok(())
    }

    /// Gradients without values.
    pub fn gradients(&self) -> Gradients {
        Gradients(vec![None; self.trained.len()])
    }
}

/// One gradient per trained variable, summed over backward passes.
#[derive(Debug, Clone)]
pub struct Gradients(Vec<Option<Tensor>>);

impl Gradients {
    /// Adds the gradients of a backward pass.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn add(&mut self, adam: &Adam, found: &GradStore) -> Result<()> {
        for (sum, trained) in self.0.iter_mut().zip(&adam.trained) {
            if let Some(gradient) = found.get(&trained.var) {
                // The gradient refers to its graph; only its values are needed.
                let gradient = gradient.detach();
                *sum = Some(match sum.take() {
                    Some(sum) => (sum + gradient)?,
                    None => gradient,
                });
            }
        }
        Ok(())
    }

    /// The gradient of a named variable.
    pub fn get(&self, adam: &Adam, name: &str) -> Option<&Tensor> {
        let at = adam.trained.iter().position(|t| t.name == name)?;
        self.0[at].as_ref()
    }
}
