//! The threads that score pictures, and their queue.
//!
//! Their number is fixed and they run as long as the server, so that the buffers kept by threads do not grow
//! with the number of requests.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::answer::{Answer, answer};
use super::metrics::Metrics;
use super::receive::Ask;
use super::refusal::Refusal;
use super::{Classes, Event, Log};
use crate::guard::caught;

/// A picture in the queue.
pub struct Job {
    ask: Ask,
    reply: oneshot::Sender<Result<Answer, Refusal>>,
    place: Place,
    queued: Instant,
}

/// The permission to have one body in memory.
pub struct Place(#[allow(dead_code, reason = "it counts for as long as it lives")] OwnedSemaphorePermit);

/// The queue of the workers.
pub struct Queue {
    jobs: Sender<Job>,
    room: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

impl Queue {
    /// A queue for `room` requests, including those being scored.
    pub fn new(jobs: Sender<Job>, room: usize, metrics: Arc<Metrics>) -> Self {
        Self { jobs, room: Arc::new(Semaphore::new(room.min(Semaphore::MAX_PERMITS))), metrics }
    }

    /// Whether a request would be refused now.
    pub fn is_full(&self) -> bool {
        self.room.available_permits() == 0
    }

    /// A place in the queue, needed before a body is read.
    pub fn place(&self) -> Result<Place, Refusal> {
        Arc::clone(&self.room).try_acquire_owned().map(Place).map_err(|_| {
            self.metrics.rejected.inc();
            Refusal::busy()
        })
    }

    /// Scores a picture on a worker.
    pub async fn score(&self, ask: Ask, place: Place) -> Result<Answer, Refusal> {
        let (reply, answered) = oneshot::channel();
        self.metrics.queued.inc();
        if self.jobs.send(Job { ask, reply, place, queued: Instant::now() }).is_err() {
            self.metrics.queued.dec();
            return Err(Refusal::stopping());
        }
        // A worker drops jobs without an answer when the server stops.
        answered.await.unwrap_or_else(|_| Err(Refusal::stopping()))
    }
}

/// One thread that scores.
pub struct Worker<'a> {
    pub jobs: &'a Mutex<Receiver<Job>>,
    pub classes: &'a dyn Classes,
    pub stopping: &'a AtomicBool,
    pub metrics: &'a Metrics,
    pub log: &'a Log,
}

impl Worker<'_> {
    /// Scores pictures until all senders are dropped.
    pub fn work(&self) {
        loop {
            let next = self.jobs.lock().unwrap_or_else(|e| e.into_inner()).recv();
            let Ok(Job { ask, reply, place, queued }) = next else { return };
            self.metrics.queued.dec();
            // The client disconnected.
            if self.stopping.load(Ordering::Relaxed) || reply.is_closed() {
                continue;
            }
            self.metrics.stage("queue", queued.elapsed());
            self.metrics.busy.inc();
            let answered = caught(|| answer(self.classes, &ask, self.log)).unwrap_or_else(|| {
                (self.log)(Event::Failed("a worker panicked on a picture".to_owned()));
                Err(Refusal::internal())
            });
            self.metrics.busy.dec();
            match &answered {
                Ok(answer) => self.metrics.scored(&answer.scored),
                Err(_) => self.metrics.failed.inc(),
            }
            // Frees the place before the client receives the answer.
            drop((ask, place));
            let _ = reply.send(answered);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::params::Params;
    use crate::{Error, Scorer};

    /// Classes that all fail in their own way.
    struct Failing;

    impl Classes for Failing {
        fn scorer(&self, class: Option<&str>) -> crate::Result<Arc<Scorer>> {
            match class {
                Some("panic") => panic!("as the test wants it"),
                _ => Err(Error::io("read", "/srv/secret", std::io::Error::other("gone"))),
            }
        }
    }

    fn ask(class: &str) -> Ask {
        let mut params = Params::default();
        params.set("class", class.to_owned()).unwrap();
        Ask { image: vec![0; 8], wanted: params.wanted(&Default::default()).unwrap() }
    }

    #[test]
    fn a_worker_outlives_what_it_works_on() {
        let (jobs, waiting) = std::sync::mpsc::channel();
        let metrics = Arc::new(Metrics::empty().unwrap());
        let queue = Queue::new(jobs, 2, Arc::clone(&metrics));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log: Log = {
            let heard = Arc::clone(&heard);
            Arc::new(move |event| heard.lock().unwrap().push(event))
        };
        let (waiting, stopping) = (Mutex::new(waiting), AtomicBool::new(false));
        let worker =
            Worker { jobs: &waiting, classes: &Failing, stopping: &stopping, metrics: &metrics, log: &log };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| worker.work());
            for class in ["panic", "gone", "panic", "gone"] {
                let place = queue.place().unwrap();
                let refused = runtime.block_on(queue.score(ask(class), place)).err().unwrap();
                assert_eq!(refused, Refusal::internal());
            }
            // Both places are free again.
            let places = [queue.place().unwrap(), queue.place().unwrap()];
            assert_eq!(queue.place().err().unwrap().status.as_u16(), 503);
            drop(places);
            // Jobs without a client, and late ones, are dropped.
            stopping.store(true, Ordering::Relaxed);
            let place = queue.place().unwrap();
            let refused = runtime.block_on(queue.score(ask("panic"), place)).err().unwrap();
            assert_eq!(refused, Refusal::stopping());
            drop(queue);
        });
        assert_eq!(heard.lock().unwrap().len(), 4);
        assert_eq!((metrics.failed.get(), metrics.queued.get(), metrics.busy.get()), (4, 0, 0));
    }
}
