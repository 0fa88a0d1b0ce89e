//! Progress bars on stderr, shown only in a terminal.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

/// Whether long tasks show their progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Progress {
    /// A bar on stderr if stderr is a terminal.
    #[default]
    Auto,
    /// Never.
    Silent,
}

impl Progress {
    /// A bar that counts `len` bytes, labelled `what`.
    pub fn bytes(self, len: u64, what: &str) -> ProgressBar {
        self.bar(len, what, "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
    }

    /// A bar that counts `len` items, labelled `what`.
    pub fn items(self, len: u64, what: &str) -> ProgressBar {
        self.bar(len, what, "{msg} {wide_bar} {pos}/{len} {per_sec} {eta}")
    }

    /// A counter of items without an end, labelled `what`.
    pub fn count(self, what: &str) -> ProgressBar {
        self.styled(ProgressBar::new_spinner(), what, "{spinner} {pos} {msg}")
    }

    fn bar(self, len: u64, what: &str, template: &str) -> ProgressBar {
        self.styled(ProgressBar::new(len), what, template)
    }

    fn styled(self, bar: ProgressBar, what: &str, template: &str) -> ProgressBar {
        if self == Self::Silent || !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.with_style(style).with_message(what.to_owned())
    }
}
