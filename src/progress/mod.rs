//! Progress bars: on stderr, and only where a person can see them. Without the feature `cli` there are none.

#[cfg(not(feature = "cli"))]
mod none;
#[cfg(feature = "cli")]
mod terminal;

#[cfg(not(feature = "cli"))]
pub use none::Bar;
#[cfg(feature = "cli")]
pub use terminal::Bar;

/// Whether long work shows its progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Progress {
    /// A bar on stderr if that is a terminal, nothing otherwise.
    #[default]
    Auto,
    /// Never.
    Silent,
}

impl Progress {
    /// A bar that counts `len` bytes, labelled `what`.
    pub fn bytes(self, len: u64, what: &str) -> Bar {
        Bar::new(self, Some(len), what, "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
    }

    /// A bar that counts `len` items, labelled `what`.
    pub fn items(self, len: u64, what: &str) -> Bar {
        Bar::new(self, Some(len), what, "{msg} {wide_bar} {pos}/{len} {per_sec} {eta}")
    }

    /// A count of items that never ends, labelled `what`.
    pub fn count(self, what: &str) -> Bar {
        Bar::new(self, None, what, "{spinner} {pos} {msg}")
    }
}
