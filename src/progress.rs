//! Progress bars on stderr, shown only in a terminal.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

/// Whether long tasks show their progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
        match self.is_visible() {
            true => ProgressBar::new_spinner()
                .with_style(styled("{spinner} {pos} {msg}"))
                .with_message(what.to_owned()),
            false => ProgressBar::hidden(),
        }
    }

    fn is_visible(self) -> bool {
        self == Self::Auto && std::io::stderr().is_terminal()
    }

    fn bar(self, len: u64, what: &str, template: &str) -> ProgressBar {
        match self.is_visible() {
            true => ProgressBar::new(len).with_style(styled(template)).with_message(what.to_owned()),
            false => ProgressBar::hidden(),
        }
    }
}

fn styled(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
