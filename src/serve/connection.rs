//! Connections: limited in number, closed if the client is too slow, finished when the server stops.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use prometheus::IntGauge;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Sleep;

use super::ServeSettings;

/// Time limit for a request's head, and for the pause between two requests.
const HEAD: Duration = Duration::from_secs(10);
/// Bytes of a request's head.
const LARGEST_HEAD: usize = 32 << 10;
/// Bytes read from a connection at once.
const BUFFER: usize = 64 << 10;
/// Pause after the system refused a connection because it lacks a resource.
const REST: Duration = Duration::from_millis(50);

/// Answers requests until `stop` is done; then waits for requests in flight, as long as the settings allow.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    settings: &ServeSettings,
    open: &IntGauge,
    stop: impl Future<Output = ()>,
) {
    let mut stop = std::pin::pin!(stop);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD.min(settings.timeout))
        .max_header_size(LARGEST_HEAD)
        // A client may end its side of the connection after its request.
        .half_close(true)
        .max_buf_size(BUFFER);
    let service = TowerToHyperService::new(router);
    let room = Arc::new(Semaphore::new(settings.max_connections.clamp(1, Semaphore::MAX_PERMITS)));
    let graceful = GracefulShutdown::new();
    loop {
        let accept = async {
            // The semaphore is never closed, so this returns a permit.
            let place = Arc::clone(&room).acquire_owned().await.ok();
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = accept => accepted,
        };
        let Ok((stream, _)): io::Result<(TcpStream, SocketAddr)> = accepted else {
            tokio::time::sleep(REST).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let stream = Patient { stream: TokioIo::new(stream), patience: settings.timeout, waiting: None };
        let connection = graceful.watch(http.serve_connection(stream, service.clone()));
        let open = open.clone();
        open.inc();
        tokio::spawn(async move {
            // An error of a connection concerns only its client.
            let _ = connection.await;
            open.dec();
            drop(place);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(settings.grace, graceful.shutdown()).await;
}

/// A connection that limits the time its client takes to receive an answer.
struct Patient {
    stream: TokioIo<TcpStream>,
    patience: Duration,
    /// Runs from the client's first delay until everything is written.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    fn wait<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            return written;
        }
        let patience = self.patience;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        waiting.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Read for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl Write for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wait(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.wait(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Called when everything has been written: the time limit starts again for the next answer.
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        match flushed {
            Poll::Ready(_) => {
                self.waiting = None;
                flushed
            }
            Poll::Pending => self.wait(cx, flushed),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
