//! Stopping in good order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cli::messages;

/// Exit code of a run that Ctrl-C or a termination signal ended before its work was done.
pub const EXIT_STOPPED: u8 = 130;

/// A flag that the first Ctrl-C or termination signal sets; see [`call_on_signal`].
pub fn on_signal(message: &'static str) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    call_on_signal(message, move || flag.store(true, Ordering::Relaxed));
    stop
}

/// The first Ctrl-C or termination signal says `message` and calls `stop`; a second one ends the program at once.
pub fn call_on_signal(message: &'static str, stop: impl Fn() + Send + 'static) {
    let stopping = AtomicBool::new(false);
    // Without a handler a signal ends the program at once; every file on disk is whole all the same.
    let _ = ctrlc::set_handler(move || {
        if stopping.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(EXIT_STOPPED));
        }
        messages::warn(format!("{message}; press Ctrl-C again to end at once"));
        stop();
    });
}
