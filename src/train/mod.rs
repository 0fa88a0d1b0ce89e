//! Training on a frozen model: batches, losses, an optimiser, and the loop around them.
//!
//! One stage is one optimiser over named variables. A [`Stage`], which a method writes, turns a [`Batch`] into [`Losses`]
//! and [`Gradients`]; [`Adam`] makes the step; [`Run`] does so for all batches and saves the state.

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

/// Whether training does what the official code does, or what the paper describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TrainingFidelity {
    /// As the official code. AA-CLIP, stage 1: V-V attention over the pictures of a batch, the loss of the last level
    /// alone. SDP+: features with the code's in-place updates, Dice by rows where a batch holds one picture.
    #[default]
    Reference,
    /// As the paper: attention over tokens, all levels, features as they are, Dice by pictures.
    Clean,
}

impl TrainingFidelity {
    /// The name on the command line and in states.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Clean => "clean",
        }
    }
}

/// The terms of a loss, and their sum as it is back-propagated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Losses {
    /// The sum.
    pub total: f32,
    /// Its terms, weighted as they enter it, by name.
    pub terms: Vec<(String, f32)>,
}

/// A loss that is still on the graph, term by term.
#[derive(Default)]
pub struct Terms {
    sum: Option<Tensor>,
    named: Vec<(String, Tensor)>,
}

impl Terms {
    /// Adds a term under its name.
    ///
    /// # Errors
    /// A term that is no scalar.
    pub fn add(&mut self, name: impl Into<String>, term: Tensor) -> Result<()> {
        self.sum = Some(match self.sum.take() {
            Some(sum) => (sum + &term)?,
            None => term.clone(),
        });
        self.named.push((name.into(), term));
        Ok(())
    }

    /// Adds a level's segmentation loss.
    ///
    /// # Errors
    /// As [`Terms::add`].
    pub fn add_segmentation(&mut self, level: usize, parts: &loss::SegmentationLoss) -> Result<()> {
        self.add(format!("level{level}.focal"), parts.focal.clone())?;
        if let Some(dice) = &parts.dice_normal {
            self.add(format!("level{level}.dice_normal"), dice.clone())?;
        }
        self.add(format!("level{level}.dice_abnormal"), parts.dice_abnormal.clone())
    }

    /// The sum to go back from, and all values.
    ///
    /// # Errors
    /// No term at all.
    pub fn finish(self) -> Result<(Tensor, Losses)> {
        let Some(sum) = self.sum else { candle_core::bail!("a loss without terms") };
        let value = |t: &Tensor| t.to_scalar::<f32>();
        let terms = self.named.iter().map(|(n, t)| Ok((n.clone(), value(t)?))).collect::<Result<_>>()?;
        Ok((sum.clone(), Losses { total: value(&sum)?, terms }))
    }
}

/// Anchors of each picture, `[B, D, 2]`, from those of classes `[D, 2]`.
///
/// # Errors
/// A class without anchors.
pub fn anchors_of(classes: &[usize], anchors: &[Tensor]) -> Result<Tensor> {
    let each: Vec<&Tensor> = classes.iter().filter_map(|&c| anchors.get(c)).collect();
    if each.len() != classes.len() {
        candle_core::bail!("a picture of a class without anchors");
    }
    Tensor::stack(&each, 0)
}
