//! The threads that compute.

use std::num::NonZeroUsize;
use std::sync::RwLock;
use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, available_parallelism};

use aaclip::{Error, Result};
use rayon::{ThreadBuilder, ThreadPoolBuilder};

use crate::cli::messages;

/// The environment variable that candle reads: it has a pool of its own for work on single elements, with one thread for
/// each core by default, and panics without them.
const OF_CANDLE: &str = "CANDLE_NUM_THREADS";

/// Threads besides those of the two pools: they prepare pictures, write, and wait for signals and files.
const OTHERS: usize = 8;

/// Starts the threads that compute: `asked`, else as many as the environment or the system says. Where the system does
/// not provide these and a few more, half of those that it provides: a run has other threads too.
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
    // The others are only tried. They end before the run begins, and take little address space until then.
    let hold = RwLock::new(());
    let held = hold.write();
    let more = std::thread::scope(|scope| {
        let mut tried = 0;
        while missing.is_none() && tried < wanted + OTHERS {
            match Builder::new().stack_size(16 << 10).spawn_scoped(scope, || drop(hold.read())) {
                Ok(_) => tried += 1,
                Err(e) => missing = Some(e),
            }
        }
        drop(held);
        tried
    });
    let threads = if missing.is_some() { wanted.min((started.len() + more).div_ceil(2)) } else { wanted };
    // The others end.
    started.truncate(threads);
    if threads < wanted {
        let reason = missing.as_ref().map(ToString::to_string).unwrap_or_default();
        if threads == 0 {
            return Err(Error::Setting(format!("the system provides no thread to compute with: {reason}")));
        }
        messages::warn(format!("computing with {threads} of {wanted} threads: {reason}"));
    }
    let of_candle = if missing.is_some() { Some(1) } else { asked.map(NonZeroUsize::get) };
    if let Some(threads) = of_candle.filter(|_| std::env::var_os(OF_CANDLE).is_none()) {
        // SAFETY: this thread is the only one that uses the environment: those started above wait for their place.
        unsafe { std::env::set_var(OF_CANDLE, threads.to_string()) };
    }
    let gone = || std::io::Error::other("a thread ended");
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .spawn_handler(|thread| match started.get(thread.index()) {
            Some(place) => place.send(thread).map_err(|_| gone()),
            None => Err(gone()),
        })
        .build_global()
        .map_err(|e| Error::Setting(format!("the threads to compute with cannot be started: {e}")))
}
