//! Other crates' code on content from outside.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread runs a decoder or a tokenizer of another crate on content from outside. A panic there becomes an
/// error about that content, so a panic hook need not report it.
pub fn is_guarded() -> bool {
    GUARDED.get()
}

/// Runs code that is not ours on content from outside; `None` if it panics: one bad picture must not end the run that
/// it is part of. What `run` borrows must not be used after a panic.
pub(crate) fn guarded<T>(run: impl FnOnce() -> T) -> Option<T> {
    let before = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(run));
    GUARDED.set(before);
    result.ok()
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
