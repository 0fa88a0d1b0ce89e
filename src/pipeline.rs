//! Work done ahead of the one who needs it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;

/// Results a thread may be ahead by.
const AHEAD: usize = 2;

/// Calls `prepare` on every item on `threads` other threads, a few items ahead, and `consume` on each result on this
/// thread, in the order of the items. Memory holds a few results per thread, however many items there are.
///
/// # Errors
/// The first error of `consume`; nothing more is prepared then.
pub fn ahead<I: Sync, T: Send, E>(
    items: &[I],
    threads: usize,
    prepare: impl Fn(&I) -> T + Sync,
    mut consume: impl FnMut(&I, T) -> Result<(), E>,
) -> Result<(), E> {
    let threads = threads.clamp(1, items.len().max(1));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Thread k takes every item i with i mod threads = k, so results arrive in order without being sorted.
        let receivers: Vec<_> = (0..threads)
            .map(|k| {
                let (sender, receiver) = sync_channel(AHEAD);
                let (prepare, stop) = (&prepare, &stop);
                scope.spawn(move || {
                    for item in items.iter().skip(k).step_by(threads) {
                        if stop.load(Ordering::Relaxed) || sender.send(prepare(item)).is_err() {
                            return;
                        }
                    }
                });
                receiver
            })
            .collect();
        for (i, item) in items.iter().enumerate() {
            // A thread that ended early panicked: the scope passes that on.
            let Ok(result) = receivers[i % threads].recv() else { break };
            if let Err(e) = consume(item, result) {
                stop.store(true, Ordering::Relaxed);
                return Err(e);
            }
        }
        Ok(())
    })
}

/// How many threads should prepare pictures: half of the processors, for the model needs them too.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |n| (n.get() / 2).clamp(1, 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order() {
        let items: Vec<usize> = (0..100).collect();
        for threads in [1, 3, 200] {
            let mut seen = Vec::new();
            let ran: Result<(), ()> = ahead(
                &items,
                threads,
                |i| i * 2,
                |i, r| {
                    seen.push((*i, r));
                    Ok(())
                },
            );
            assert!(
                ran.is_ok() && seen.iter().enumerate().all(|(k, s)| *s == (k, 2 * k)) && seen.len() == 100
            );
        }
        let none: Result<(), ()> = ahead(&[] as &[usize], 4, |i| *i, |_, _| Ok(()));
        assert!(none.is_ok());
    }

    #[test]
    fn an_error_ends_it() {
        let items: Vec<usize> = (0..1000).collect();
        let done = std::sync::atomic::AtomicUsize::new(0);
        let ran = ahead(
            &items,
            2,
            |i| {
                done.fetch_add(1, Ordering::Relaxed);
                *i
            },
            |_, r| if r == 5 { Err(r) } else { Ok(()) },
        );
        assert_eq!(ran, Err(5));
        assert!(done.into_inner() < 20);
    }
}
