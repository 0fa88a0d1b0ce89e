//! The results on stdout: all of them or a choice, in the order of names or of scores.

use std::io::{self, Write};

use aaclip::output::{Record, RecordWriter};

use crate::cli::args::detect::{ManyArgs, SortName};
use crate::cli::commands::detect::highest::Highest;

/// Writes the chosen results.
pub struct Shown<W: Write> {
    out: RecordWriter<W>,
    only_anomalous: bool,
    /// Results that are written at the end, the highest score first; `None`: each is written at once.
    held: Option<Highest<Record>>,
    top: bool,
}

impl<W: Write> Shown<W> {
    pub fn new(out: RecordWriter<W>, args: &ManyArgs) -> Self {
        let held = match args.top {
            Some(most) => Some(Highest::new(most)),
            None => (args.sort == SortName::Score).then(|| Highest::new(usize::MAX)),
        };
        Self { out, only_anomalous: args.only_anomalous, held, top: args.top.is_some() }
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
        held.push(scored.map_or(f32::NEG_INFINITY, |s| s.score), record.clone());
        Ok(())
    }

    /// Writes what was held, and the end.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(self) -> io::Result<()> {
        let Self { mut out, held, .. } = self;
        let held: Vec<_> = held.map_or_else(Vec::new, Highest::into_sorted);
        held.iter().try_for_each(|(_, record)| out.write(record))?;
        out.finish()
    }
}
