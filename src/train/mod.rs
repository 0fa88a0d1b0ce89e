//! Training with a frozen model: batches, losses, an optimiser, and the training loop.
//!
//! A stage is one optimiser over named variables. A method's [`Stage`] turns a [`Batch`] into [`Losses`] and
//! [`Gradients`]; [`Adam`] applies the step; [`Run`] repeats this for all batches and saves the state.

mod adam;
mod augment;
mod batch;
mod blocks;
mod initial;
pub mod loss;
mod run;
mod state;

use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

pub use adam::{Adam, AdamSettings, Gradients, Trained};
pub use augment::{Augmentation, Jitter, Motion};
pub use batch::{Batch, Batches, Example};
pub use blocks::Walk;
pub use initial::Initial;
pub use run::{Ended, LogLine, Run, Stage};
pub use state::{Position, TrainingState};

/// Whether training follows the official code or the paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TrainingFidelity {
    /// As in the official code. AA-CLIP, stage 1: V-V attention over the pictures of a batch, loss of the
    /// last level only. SDP+: features with the code's in-place updates, Dice by rows for batches of one
    /// picture.
    #[default]
    Reference,
    /// As in the paper: attention over tokens, all levels, unchanged features, Dice by pictures.
    Clean,
}

impl TrainingFidelity {
    /// The name on the command line and in state files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Clean => "clean",
        }
    }
}

/// The weighted terms of a loss, and their sum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Losses {
    /// The sum, which is back-propagated.
    pub total: f32,
    /// The weighted terms by name.
    pub terms: Vec<(String, f32)>,
}

/// The terms of a loss on the graph.
#[derive(Default)]
pub struct Terms {
    sum: Option<Tensor>,
    named: Vec<(String, Tensor)>,
}

impl Terms {
    /// Adds a named term.
    ///
    /// # Errors
    /// The term is not a scalar.
    pub fn add(&mut self, name: impl Into<String>, term: Tensor) -> Result<()> {
        self.sum = Some(match self.sum.take() {
            Some(sum) => (sum + &term)?,
            None => term.clone(),
        });
        self.named.push((name.into(), term));
        Ok(())
    }

    /// Adds the segmentation loss of a level.
    ///
    /// # Errors
    /// Errors of [`Terms::add`].
    pub fn add_segmentation(&mut self, level: usize, parts: &loss::SegmentationLoss) -> Result<()> {
        self.add(format!("level{level}.focal"), parts.focal.clone())?;
        if let Some(dice) = &parts.dice_normal {
            self.add(format!("level{level}.dice_normal"), dice.clone())?;
        }
        self.add(format!("level{level}.dice_abnormal"), parts.dice_abnormal.clone())
    }

    /// The sum for the backward pass, and all values.
    ///
    /// # Errors
    /// There are no terms.
    pub fn finish(self) -> Result<(Tensor, Losses)> {
        let Some(sum) = self.sum else { candle_core::bail!("a loss without terms") };
        let value = |t: &Tensor| t.to_scalar::<f32>();
        let terms = self.named.iter().map(|(n, t)| Ok((n.clone(), value(t)?))).collect::<Result<_>>()?;
        Ok((sum.clone(), Losses { total: value(&sum)?, terms }))
    }
}

/// The anchors of each picture, `[B, D, 2]`, from the anchors of the classes, `[D, 2]`.
///
/// # Errors
/// A class has no anchors.
pub fn anchors_of(classes: &[usize], anchors: &[Tensor]) -> Result<Tensor> {
    let each: Vec<&Tensor> = classes.iter().filter_map(|&c| anchors.get(c)).collect();
    if each.len() != classes.len() {
        candle_core::bail!("a picture of a class without anchors");
    }
    Tensor::stack(&each, 0)
}
