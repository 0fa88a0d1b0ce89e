//! Stops a run in an orderly way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cli::messages;

/// Exit code of a run that was ended early by Ctrl-C or a termination signal.
pub const EXIT_STOPPED: u8 = 130;

/// A flag set by the first Ctrl-C or termination signal; see [`call_on_signal`].
pub fn on_signal(message: &'static str) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    call_on_signal(message, move || flag.store(true, Ordering::Relaxed));
    stop
}

/// Prints `message` and calls `stop` at the first Ctrl-C or termination signal; a second one ends the program
/// at once.
pub fn call_on_signal(message: &'static str, stop: impl Fn() + Send + 'static) {
    // Without a handler a signal ends the program at once; files on disk are complete even then. A handler without a
    // thread of its own would swallow it.
    if std::thread::Builder::new().spawn(|| {}).is_err() {
        return;
    }
    let stopping = AtomicBool::new(false);
    let _ = ctrlc::set_handler(move || {
        if stopping.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(EXIT_STOPPED));
        }
        messages::warn(format!("{message}; press Ctrl-C again to end at once"));
        stop();
    });
}
