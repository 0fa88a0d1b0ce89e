//! A local HTTP server around scorers: a picture in a request, its record in the answer.
//!
//! | route | effect |
//! | --- | --- |
//! | `POST /v1/detect` | scores one picture |
//! | `GET /` | a page for scoring pictures |
//! | `GET /healthz` | reports that the server runs, with its model and method |
//! | `GET /readyz` | reports whether a picture would be accepted now |
//! | `GET /metrics` | counts and times, in Prometheus' text format |
//! | `GET /openapi.json` | describes the routes |
//!
//! The cost of requests is bounded. At most [`ServeSettings::workers`] pictures are scored at the same time,
//! on separate threads, and [`ServeSettings::queue`] more may wait; further requests are refused with 503
//! before their body is read. So bodies need at most `(workers + queue) * max_body` bytes. A client that is
//! slow to send a request or to receive its answer loses its connection after [`ServeSettings::timeout`].
//!
//! Requests cannot name files: pictures are only in memory, and names in requests are labels.

mod answer;
mod connection;
mod cors;
mod guard;
mod metrics;
mod page;
mod params;
mod receive;
mod refusal;
mod routes;
mod upload;
mod workers;

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use crate::{Error, Result, Scorer};

use metrics::Metrics;
use routes::{About, App};
use workers::{Queue, Worker};

/// Provides the scorer of each class.
pub trait Classes: Sync {
    /// The scorer of `class`; without a class, the scorer of the server's own class.
    ///
    /// # Errors
    /// The class cannot be scored.
    fn scorer(&self, class: Option<&str>) -> Result<Arc<Scorer>>;
}

/// An event for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A request was answered: method, path, status and time.
    Answered(String),
    /// A failure that the client was told only in general terms.
    Failed(String),
}

/// The receiver of a server's events.
pub type Log = Arc<dyn Fn(Event) + Send + Sync>;

/// Limits and options of a server.
#[derive(Clone)]
#[non_exhaustive]
pub struct ServeSettings {
    /// Pictures scored at the same time.
    pub workers: usize,
    /// Number of requests that may wait for a worker.
    pub queue: usize,
    /// Largest body of a request, in bytes.
    pub max_body: usize,
    /// Time limit for sending a request, and for receiving its answer.
    pub timeout: Duration,
    /// Time limit for requests in flight when the server stops.
    pub grace: Duration,
    /// Connections at the same time; further clients wait until one is closed.
    pub max_connections: usize,
    /// Allowed names of the server in `Host` headers, in addition to the machine's loopback names.
    pub hosts: Vec<String>,
    /// Origins (`scheme://host:port`) whose pages may use the server, besides its own; `*` means all.
    pub origins: Vec<String>,
    /// Whether requests may name a class.
    pub any_class: bool,
    /// The receiver of events.
    pub log: Log,
}

impl Default for ServeSettings {
    /// One worker, 16 waiting requests, 64 MB, 30 seconds, 256 connections; events are dropped.
    fn default() -> Self {
        Self {
            workers: 1,
            queue: 16,
            max_body: 64_000_000,
            timeout: Duration::from_secs(30),
            grace: Duration::from_secs(30),
            max_connections: 256,
            hosts: Vec::new(),
            origins: Vec::new(),
            any_class: true,
            log: Arc::new(|_| {}),
        }
    }
}

/// A server bound to its address, before it answers.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    settings: ServeSettings,
}

impl Server {
    /// Binds an address; with port 0 the system chooses a port.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn bind(address: SocketAddr, settings: ServeSettings) -> Result<Self> {
        let failed = |e| Error::io("listen on", address.to_string(), e);
        let listener = TcpListener::bind(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self { listener, address, settings })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `stop` is done, then finishes those in flight. `ready` is called once, as soon
    /// as requests are answered.
    ///
    /// # Errors
    /// The default class cannot be scored, or the system provides no threads.
    pub fn run(
        self,
        classes: &dyn Classes,
        ready: impl FnOnce(SocketAddr) -> Result<()>,
        stop: impl Future<Output = ()>,
    ) -> Result<()> {
        let Self { listener, address, settings } = self;
        let first = classes.scorer(None)?;
        let metrics = Arc::new(Metrics::new(&first)?);
        let stopping = AtomicBool::new(false);
        let closing = Arc::new(AtomicBool::new(false));
        let (jobs, waiting) = mpsc::channel();
        let waiting = Mutex::new(waiting);
        let workers = settings.workers.max(1);
        let queue = Queue::new(jobs, workers + settings.queue, Arc::clone(&metrics));
        // Requests are read and answers written on this thread: it computes nothing.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|e| Error::io("start threads for", address.to_string(), e))?;
        std::thread::scope(|scope| {
            for i in 0..workers {
                let worker = Worker {
                    jobs: &waiting,
                    classes,
                    stopping: &stopping,
                    metrics: &metrics,
                    log: &settings.log,
                };
                let thread = std::thread::Builder::new().name(format!("aaclip-score-{i}"));
                match thread.spawn_scoped(scope, move || worker.work()) {
                    Ok(_) => {}
                    Err(e) if i == 0 => return Err(Error::io("start threads for", address.to_string(), e)),
                    Err(e) => {
                        let text = format!("{i} pictures instead of {workers} are scored at a time: {e}");
                        (settings.log)(Event::Failed(text));
                        break;
                    }
                }
            }
            let about = About::of(&first);
            let app = App::new(about, queue, metrics.clone(), address, settings.clone(), closing.clone());
            let stop = async {
                stop.await;
                closing.store(true, Ordering::Relaxed);
            };
            let served = runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)
                    .map_err(|e| Error::io("listen on", address.to_string(), e))?;
                ready(address)?;
                connection::serve(listener, routes::router(app), &settings, &metrics.connections, stop).await;
                Ok(())
            });
            // Remaining requests have waited as long as the settings allow. Dropping the runtime drops the
            // last sender of jobs, and the workers end after their current picture.
            stopping.store(true, Ordering::Relaxed);
            runtime.shutdown_timeout(Duration::from_millis(200));
            served
        })
    }
}
