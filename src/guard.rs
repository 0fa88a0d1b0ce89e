//! Catches panics that must not end a run over many pictures.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread runs a decoder or a tokenizer of another crate on external content. A panic there
/// becomes an error of the content, so a panic hook need not report it.
pub fn is_guarded() -> bool {
    GUARDED.get()
}

/// Runs code on one picture; `None` if it panics. Values borrowed by `run` must not be used after a panic.
///
/// A panic of this crate's own code is a bug: the panic hook reports it.
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}

/// [`caught`] for code of another crate on external content: a panic is an error of the content.
pub(crate) fn guarded<T>(run: impl FnOnce() -> T) -> Option<T> {
    let before = GUARDED.replace(true);
    let result = caught(run);
    GUARDED.set(before);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_gives_nothing_and_leaves_no_mark() {
        let run = |fail: bool| {
            guarded(move || {
                assert!(is_guarded());
                if fail { std::panic::resume_unwind(Box::new(())) } else { 1 }
            })
        };
        assert_eq!((run(true), run(false), is_guarded()), (None, Some(1), false));
    }
}
