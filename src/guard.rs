//! What panics must not end: a run over many pictures.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::{Error, Result};

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

/// Runs our own code on one picture. A panic, which is always a fault of ours, is reported as ever, and becomes an error
/// of this picture. What `run` borrows must not be used after a panic.
pub(crate) fn survive<T>(picture: &Path, run: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(Error::Bug { path: picture.to_owned() }))
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

    #[test]
    fn a_fault_of_ours_is_the_error_of_one_picture() {
        let run = |fail: bool| {
            survive(Path::new("a.png"), move || {
                assert!(!is_guarded());
                if fail { std::panic::resume_unwind(Box::new(())) } else { Ok(1) }
            })
        };
        assert!(matches!(run(false), Ok(1)));
        let error = run(true).unwrap_err();
        assert!(error.kind() == "bug" && error.to_string().contains("a.png"), "{error}");
    }
}
