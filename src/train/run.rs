//! The loop around a stage: batches, steps, checkpoints, a log.

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use candle_core::Device;
use serde::{Deserialize, Serialize};

use super::{Adam, Batch, Batches, Gradients, Losses, Position, TrainingState};
use crate::progress::Progress;
use crate::{Error, Provenance, Result, pipeline};

/// Something that learns from batches.
pub trait Stage {
    /// Its name in states and logs.
    fn name(&self) -> &'static str;

    /// Losses and gradients of a batch.
    ///
    /// # Errors
    /// A batch that does not fit the tower.
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
    /// Pictures a second, of this step.
    pub images_per_second: f64,
}

/// What a stage is run with.
pub struct Run<'a> {
    /// The pictures.
    pub batches: Batches<'a>,
    /// Epochs in all.
    pub epochs: usize,
    /// The device of batches.
    pub device: &'a Device,
    /// Where the state is kept.
    pub state: PathBuf,
    /// Where lines are added.
    pub log: PathBuf,
    /// What the run was begun with.
    pub settings: Provenance,
    /// Set from outside to end after the current step.
    pub stop: &'a AtomicBool,
    /// End after this many more steps, of all stages.
    pub steps_left: Option<usize>,
    /// Whether progress is shown.
    pub progress: Progress,
}

/// How a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All epochs are done.
    Finished,
    /// It was stopped; the state is saved.
    Stopped,
}

/// Why an epoch ended before its last batch.
enum Halt {
    /// It was asked to; `next` is the first batch that was not trained on.
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
    /// Trains from `start` (finished epochs and batches) to the last epoch. `after_epoch` is called with the number of
    /// finished epochs; the state is saved after it, and when training is stopped.
    ///
    /// # Errors
    /// A picture that cannot be read, a loss that is not finite (the batch is named), a file that cannot be written.
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
                match self.must_stop() {
                    true => Err(Halt::Stopped { next: number + 1 }),
                    false => Ok(()),
                }
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
