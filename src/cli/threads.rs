//! The threads that compute.

use std::num::NonZeroUsize;
use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, available_parallelism};

use aaclip::{Error, Result};
use rayon::{ThreadBuilder, ThreadPoolBuilder};

use crate::cli::messages;

/// Starts the threads that compute: `asked`, else as many as the environment or the system says. Where the system does
/// not provide that many, half of those that it provides, because other work needs threads too.
///
/// # Errors
/// The system provides no thread.
pub fn start(asked: Option<NonZeroUsize>) -> Result<()> {
    let environment = || std::env::var("RAYON_NUM_THREADS").ok()?.parse().ok();
    let wanted =
        asked.or_else(environment).or_else(|| available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    // They wait for their place in the pool: a pool that cannot start one of its threads cannot be made at all, and a
    // second attempt is not possible.
    let mut started: Vec<Sender<ThreadBuilder>> = Vec::new();
    let mut missing = None;
    while started.len() < wanted && missing.is_none() {
        let (place, places) = channel::<ThreadBuilder>();
        match Builder::new().spawn(move || places.recv().into_iter().for_each(ThreadBuilder::run)) {
            Ok(_) => started.push(place),
            Err(e) => missing = Some(e),
        }
    }
    if let Some(reason) = missing {
        if started.is_empty() {
            return Err(Error::Setting(format!("the system provides no thread to compute with: {reason}")));
        }
        started.truncate(started.len().div_ceil(2));
        let threads = started.len();
        messages::warn(format!("computing with {threads} of {wanted} threads: {reason}"));
    }
    let gone = || std::io::Error::other("a thread ended");
    ThreadPoolBuilder::new()
        .num_threads(started.len())
        .spawn_handler(|thread| match started.get(thread.index()) {
            Some(place) => place.send(thread).map_err(|_| gone()),
            None => Err(gone()),
        })
        .build_global()
        .map_err(|e| Error::Setting(format!("the threads to compute with cannot be started: {e}")))
}
