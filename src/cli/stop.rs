//! Stopping in good order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cli::messages;

/// Exit code of a run that Ctrl-C or a termination signal ended before its work was done.
pub const EXIT_STOPPED: u8 = 130;

/// A flag that the first Ctrl-C or termination signal sets, saying `message`; a second one ends the program at once.
pub fn on_signal(message: &'static str) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    // Where no handler can be set a signal ends the program as ever; every file on disk is whole all the same.
    let _ = ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(EXIT_STOPPED));
        }
        messages::warn(format!("{message}; press Ctrl-C again to end at once"));
    });
    stop
}
