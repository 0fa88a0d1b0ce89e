//! The body of a request: counted, limited, and read to its end even if the request is refused.
//!
//! If a server answers and closes while the client still sends, the client's system discards the answer. So
//! the rest of a refused request is read and discarded before the answer, within limits.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// A request's body. Clones share it.
#[derive(Clone)]
pub struct Upload(Arc<Mutex<State>>);

struct State {
    body: Body,
    /// Bytes that are still allowed.
    left: usize,
    /// More bytes came than allowed.
    over: bool,
    /// No part of it has been read.
    untouched: bool,
    /// It has been read completely.
    ended: bool,
    /// The rest is not read.
    hopeless: bool,
}

impl Upload {
    /// A body of at most `limit` bytes.
    pub fn new(body: Body, limit: usize) -> Self {
        let ended = body.is_end_stream();
        Self(Arc::new(Mutex::new(State {
            body,
            left: limit,
            over: false,
            untouched: true,
            ended,
            hopeless: false,
        })))
    }

    /// Whether more bytes came than allowed.
    pub fn is_over(&self) -> bool {
        self.state().over
    }

    /// Stops reading the rest of the body.
    pub fn give_up(&self) {
        self.state().hopeless = true;
    }

    /// Reads and discards the rest: at most `limit` bytes, for at most `time`. Returns whether the end was
    /// reached, so that the connection can be used again.
    pub async fn drain(mut self, limit: usize, time: Duration, waits_for_leave: bool) -> bool {
        {
            let mut state = self.state();
            if state.ended {
                return true;
            }
            // A client that waits for `100 Continue` and does not get it sends nothing.
            if state.hopeless || (waits_for_leave && state.untouched) {
                return false;
            }
            state.left = limit;
            state.over = false;
        }
        let rest = async {
            loop {
                match std::future::poll_fn(|cx| Pin::new(&mut self).poll_frame(cx)).await {
                    None => return true,
                    Some(Err(_)) => return false,
                    Some(Ok(_)) => {}
                }
            }
        };
        tokio::time::timeout(time, rest).await.unwrap_or(false)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut state = self.state();
        state.untouched = false;
        if state.over {
            return Poll::Ready(Some(Err("too long".into())));
        }
        let frame = ready!(Pin::new(&mut state.body).poll_frame(cx));
        Poll::Ready(match frame {
            None => {
                state.ended = true;
                None
            }
            Some(Err(e)) => {
                state.hopeless = true;
                Some(Err(e.into()))
            }
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                match state.left.checked_sub(length) {
                    Some(left) => {
                        state.left = left;
                        state.ended |= state.body.is_end_stream();
                        Some(Ok(frame))
                    }
                    None => {
                        state.over = true;
                        Some(Err("too long".into()))
                    }
                }
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.state().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.state().body.size_hint()
    }
}
