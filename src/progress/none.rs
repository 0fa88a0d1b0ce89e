//! Bars of a library: nothing is drawn.

use super::Progress;

/// A bar that is never shown.
#[derive(Debug, Clone)]
pub struct Bar(());

impl Bar {
    pub(super) fn new(_: Progress, _: Option<u64>, _: &str, _: &str) -> Self {
        Self(())
    }

    /// Counts `by` more.
    pub fn inc(&self, _by: u64) {}

    /// Goes to a count: work that was done before.
    pub fn set_position(&self, _count: u64) {}

    /// Forgets how fast it was so far.
    pub fn reset_eta(&self) {}

    /// Replaces the label.
    pub fn set_message(&self, _what: String) {}

    /// Runs `write`.
    pub fn suspend<R>(&self, write: impl FnOnce() -> R) -> R {
        write()
    }

    /// Removes the bar.
    pub fn finish_and_clear(&self) {}
}
