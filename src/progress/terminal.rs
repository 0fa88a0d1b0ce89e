//! Bars as `indicatif` draws them.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use super::Progress;

/// A bar on the terminal, or nothing.
#[derive(Debug, Clone)]
pub struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new(progress: Progress, len: Option<u64>, what: &str, template: &str) -> Self {
        if progress == Progress::Silent || !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = len.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self(bar.with_style(style).with_message(what.to_owned()))
    }

    /// Counts `by` more.
    pub fn inc(&self, by: u64) {
        self.0.inc(by);
    }

    /// Goes to a count: work that was done before.
    pub fn set_position(&self, count: u64) {
        self.0.set_position(count);
    }

    /// Forgets how fast it was so far.
    pub fn reset_eta(&self) {
        self.0.reset_eta();
    }

    /// Replaces the label.
    pub fn set_message(&self, what: String) {
        self.0.set_message(what);
    }

    /// Removes the bar during other output to the terminal.
    pub fn suspend<R>(&self, write: impl FnOnce() -> R) -> R {
        self.0.suspend(write)
    }

    /// Removes the bar.
    pub fn finish_and_clear(&self) {
        self.0.finish_and_clear();
    }
}
