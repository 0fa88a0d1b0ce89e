//! Work prepared in advance on other threads.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::Builder;

/// Items waiting for a thread, and results waiting per thread.
const AHEAD: usize = 2;

/// Calls `prepare` on every item on `threads` other threads, a few items in advance, and `consume` on each
/// result on this thread, in the order of the items. Memory is limited to a few items and results per thread.
/// A result is consumed as soon as all earlier ones are, without waiting for the next item.
///
/// # Errors
/// The first error of `consume`; no further items are prepared.
pub fn ahead<I: Send, T: Send, E>(
    items: impl Iterator<Item = I> + Send,
    threads: usize,
    prepare: impl Fn(&I) -> T + Sync,
    mut consume: impl FnMut(I, T) -> Result<(), E>,
) -> Result<(), E> {
    std::thread::scope(|scope| {
        // Thread k gets every item i with i mod threads = k, so results arrive in order without sorting. Where the system
        // provides fewer threads, fewer are used.
        let start = || {
            let (input, items) = sync_channel::<I>(AHEAD);
            let (done, result) = sync_channel(AHEAD);
            let prepare = &prepare;
            let work = move || {
                for item in items {
                    let prepared = prepare(&item);
                    if done.send((item, prepared)).is_err() {
                        return;
                    }
                }
            };
            Builder::new().spawn_scoped(scope, work).ok().map(|_| (input, result))
        };
        let (hand_over, handed_over) = sync_channel::<(_, Vec<SyncSender<I>>)>(1);
        let feed = move || {
            let Ok((items, inputs)) = handed_over.recv() else { return };
            for (i, item) in Iterator::enumerate(items) {
                // The receiver was dropped: `consume` failed.
                if inputs[i % inputs.len()].send(item).is_err() {
                    return;
                }
            }
        };
        let fed = Builder::new().spawn_scoped(scope, feed).is_ok();
        let started = (0..if fed { threads.max(1) } else { 0 }).map_while(|_| start());
        let (inputs, results): (Vec<_>, Vec<_>) = started.unzip();
        if results.is_empty() {
            drop(hand_over);
            return items.into_iter().try_for_each(|item| {
                let prepared = prepare(&item);
                consume(item, prepared)
            });
        }
        // The receiver waits for this.
        let _ = hand_over.send((items, inputs));
        for i in 0.. {
            // No more results from this thread: either it has no more items, or it panicked and the scope
            // passes the panic on.
            let Ok((item, result)) = results[i % results.len()].recv() else { break };
            consume(item, result)?;
        }
        Ok(())
    })
}

/// Number of threads for preparing pictures: half of the processors, because the model needs the others.
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
                items.iter(),
                threads,
                |i| **i * 2,
                |i, r| {
                    seen.push((*i, r));
                    Ok(())
                },
            );
            assert!(
                ran.is_ok() && seen.iter().enumerate().all(|(k, s)| *s == (k, 2 * k)) && seen.len() == 100
            );
        }
        let none: Result<(), ()> = ahead([0usize; 0].into_iter(), 4, |i| *i, |_, _| Ok(()));
        assert!(none.is_ok());
    }

    #[test]
    fn an_error_ends_it() {
        let done = std::sync::atomic::AtomicUsize::new(0);
        let ran = ahead(
            0..1000usize,
            2,
            |i| {
                done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                *i
            },
            |_, r| if r == 5 { Err(r) } else { Ok(()) },
        );
        assert_eq!(ran, Err(5));
        assert!(done.into_inner() < 30);
    }

    #[test]
    fn a_result_does_not_wait_for_the_next_item() {
        let (seen, heard) = std::sync::mpsc::channel();
        // The second item arrives only after the first result was consumed.
        let items = (0..2).inspect(move |&i| {
            if i == 1 {
                heard.recv_timeout(std::time::Duration::from_secs(60)).expect("the first result");
            }
        });
        let ran: Result<(), ()> = ahead(
            items,
            1,
            |i| *i,
            |_, r| {
                let _ = seen.send(r);
                Ok(())
            },
        );
        assert!(ran.is_ok());
    }
}
