//! The training loop of a stage: batches, steps, checkpoints, a log.

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use candle_core::Device;
use serde::{Deserialize, Serialize};

use super::{Adam, Batch, Batches, Gradients, Losses, Position, TrainingState};
use crate::progress::Progress;
use crate::{Error, Provenance, Result, pipeline};

/// A stage of training: learns from batches.
pub trait Stage {
    /// Its name in state files and logs.
    fn name(&self) -> &'static str;

    /// Losses and gradients of a batch.
    ///
    /// # Errors
    /// The batch does not fit the tower.
    fn gradients(&self, batch: &Batch) -> candle_core::Result<(Losses, Gradients)>;

    /// The learning rate of the next step.
    fn rate(&self) -> f64 {
        self.adam().settings.rate
    }

    /// The optimiser.
    fn adam(&self) -> &Adam;

    /// The optimiser.
    fn adam_mut(&mut self) -> &mut Adam;
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// The stage.
    pub stage: String,
    /// Its epoch, from 1.
    pub epoch: usize,
    /// The batch of that epoch, from 1.
    pub batch: usize,
    /// Steps of the stage so far.
    pub step: usize,
    /// The losses before the step.
    #[serde(flatten)]
    pub losses: Losses,
    /// The learning rate of the step.
    pub rate: f64,
    /// Pictures per second in this step.
    pub images_per_second: f64,
}

/// Inputs and options of a training run.
pub struct Run<'a> {
    /// The pictures.
    pub batches: Batches<'a>,
    /// Number of epochs.
    pub epochs: usize,
    /// The device for batches.
    pub device: &'a Device,
    /// The state file.
    pub state: PathBuf,
    /// The log file; lines are appended.
    pub log: PathBuf,
    /// The settings of the run.
    pub settings: Provenance,
    /// Set from outside to stop after the current step.
    pub stop: &'a AtomicBool,
    /// Stops after this many more steps, counted over all stages.
    pub steps_left: Option<usize>,
    /// Whether progress is shown.
    pub progress: Progress,
}

/// How a stage ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All epochs are finished.
    Finished,
    /// Training was stopped; the state is saved.
    Stopped,
}

/// The reason for ending an epoch before its last batch.
enum Halt {
    /// Training was stopped; `next` is the first batch without training.
    Stopped {
        next: usize,
    },
    Failed(Box<Error>),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(Box::new(error))
    }
}

impl Run<'_> {
    /// Trains from `start` (finished epochs and batches) to the last epoch. `after_epoch` is called with the
    /// number of finished epochs; the state is saved after it, and when training is stopped.
    ///
    /// # Errors
    /// A picture cannot be read, a loss is not finite (the batch is named), or a file cannot be written.
    pub fn train(
        &mut self,
        stage: &mut dyn Stage,
        start: (usize, usize),
        mut after_epoch: impl FnMut(&dyn Stage, usize) -> Result<()>,
    ) -> Result<Ended> {
        let mut log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .map_err(|e| Error::io("write", &self.log, e))?;
        let per_epoch = self.batches.per_epoch();
        let bar = self.progress.items((self.epochs * per_epoch) as u64, stage.name());
        bar.set_position((start.0 * per_epoch + start.1) as u64);
        bar.reset_eta();
        for epoch in start.0..self.epochs {
            if self.must_stop() {
                self.save(stage, epoch, if epoch == start.0 { start.1 } else { 0 })?;
                bar.finish_and_clear();
                return Ok(Ended::Stopped);
            }
            let first = if epoch == start.0 { start.1 } else { 0 };
            let (batches, device) = (self.batches.clone(), self.device);
            let load = |&number: &usize| batches.load(epoch, number, device);
            let ended = pipeline::ahead(first..per_epoch, pipeline::threads(), load, |number, batch| {
                let began = Instant::now();
                let batch = batch?;
                let (losses, gradients) = stage.gradients(&batch).map_err(Error::from)?;
                if !losses.total.is_finite() {
                    return Err(self.not_finite(stage, epoch, number, &losses).into());
                }
                let rate = stage.rate();
                stage.adam_mut().step(&gradients, rate).map_err(Error::from)?;
                let line = LogLine {
                    stage: stage.name().to_owned(),
                    epoch: epoch + 1,
                    batch: number + 1,
                    step: stage.adam().steps,
                    images_per_second: batch.classes.len() as f64 / began.elapsed().as_secs_f64().max(1e-9),
                    losses,
                    rate,
                };
                let mut text = serde_json::to_string(&line).unwrap_or_default();
                text.push('\n');
                let written = log.write_all(text.as_bytes());
                written.map_err(|e| Error::io("write", &self.log, e))?;
                bar.set_message(format!(
                    "{} {}/{} loss {:.4}",
                    line.stage, line.epoch, self.epochs, line.losses.total
                ));
                bar.inc(1);
                if let Some(left) = &mut self.steps_left {
                    *left = left.saturating_sub(1);
                }
                if self.must_stop() { Err(Halt::Stopped { next: number + 1 }) } else { Ok(()) }
            });
            let next = match ended {
                Err(Halt::Failed(error)) => return Err(*error),
                Err(Halt::Stopped { next }) => Some(next),
                Ok(()) => None,
            };
            if let Some(next) = next.filter(|&n| n < per_epoch) {
                self.save(stage, epoch, next)?;
                bar.finish_and_clear();
                return Ok(Ended::Stopped);
            }
            after_epoch(stage, epoch + 1)?;
            self.save(stage, epoch + 1, 0)?;
        }
        bar.finish_and_clear();
        Ok(Ended::Finished)
    }

    fn must_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.steps_left == Some(0)
    }

    fn save(&self, stage: &dyn Stage, epoch: usize, batch: usize) -> Result<()> {
        let position = Position { stage: stage.name().to_owned(), epoch, batch };
        TrainingState::of(position, self.settings.clone(), stage.adam())?.write(&self.state)
    }

    fn not_finite(&self, stage: &dyn Stage, epoch: usize, number: usize, losses: &Losses) -> Error {
        let members = self.batches.members(epoch, number);
        let files: Vec<String> =
            members.iter().map(|&i| self.batches.examples[i].path.display().to_string()).collect();
        let terms: Vec<&str> =
            losses.terms.iter().filter(|t| !t.1.is_finite()).map(|t| t.0.as_str()).collect();
        Error::Setting(format!(
            "stage {}, epoch {}, batch {}: the loss is not a finite number ({}); pictures: {}",
            stage.name(),
            epoch + 1,
            number + 1,
            terms.join(", "),
            files.join(", ")
        ))
    }
}
