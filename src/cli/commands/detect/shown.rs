//! The results on stdout: all of them or a choice, in the order of names or of scores.

use std::io::{self, Write};

use aaclip::output::{Record, RecordWriter};

use crate::cli::args::detect::{ManyArgs, SortName};
use crate::cli::commands::detect::highest::Highest;

/// Writes the chosen results.
pub struct Shown<W: Write> {
    out: RecordWriter<W>,
    by_score: bool,
    only_anomalous: bool,
    /// Results that are written at the end, with their positions; `None`: each is written at once.
    held: Option<Highest<(usize, Record)>>,
    top: bool,
    seen: usize,
}

impl<W: Write> Shown<W> {
    pub fn new(out: RecordWriter<W>, args: &ManyArgs) -> Self {
        let by_score = args.sort == SortName::Score;
        let held = match args.top {
            Some(most) => Some(Highest::new(most)),
            None => by_score.then(|| Highest::new(usize::MAX)),
        };
        Self { out, by_score, only_anomalous: args.only_anomalous, held, top: args.top.is_some(), seen: 0 }
    }

    /// Takes the next result.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn take(&mut self, record: &Record) -> io::Result<()> {
        let scored = record.scored();
        let is_chosen = match scored {
            Some(scored) => !self.only_anomalous || scored.anomalous == Some(true),
            // Failures are reported on stderr as well.
            None => !self.only_anomalous && !self.top,
        };
        if !is_chosen {
            return Ok(());
        }
        let Some(held) = &mut self.held else { return self.out.write(record) };
        held.push(scored.map_or(f32::NEG_INFINITY, |s| s.score), (self.seen, record.clone()));
        self.seen += 1;
        Ok(())
    }

    /// Writes what was held, and the end.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(self) -> io::Result<()> {
        let Self { mut out, by_score, held, .. } = self;
        let mut held: Vec<_> = held.map_or_else(Vec::new, Highest::into_sorted);
        if !by_score {
            held.sort_by_key(|(_, (position, _))| *position);
        }
        held.iter().try_for_each(|(_, (_, record))| out.write(record))?;
        out.finish()
    }
}
