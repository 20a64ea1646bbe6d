//! Reads what is left of a refused request's body, for a moment, and drops it.
//!
//! A sender that is still writing when its connection closes sees a broken pipe and never the answer. So
//! the answer waits until the body has ended, or two seconds at most. A client that asked first whether to send at all
//! (`Expect: 100-continue`) and wasn't told to is answered at once.

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use futures::{Stream, StreamExt, stream};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::timeout;

const MOMENT: Duration = Duration::from_secs(2);

/// A body that handler and middleware share: the one reads it, the other reads on.
#[derive(Clone)]
struct SharedBody(Arc<Mutex<Reading>>);

struct Reading {
    body: BodyDataStream,
    begun: bool,
    ended: bool,
}

impl SharedBody {
    fn new(body: Body) -> Self {
        Self(Arc::new(Mutex::new(Reading { body: body.into_data_stream(), begun: false, ended: false })))
    }

    fn with<T>(&self, f: impl FnOnce(&mut Reading) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, axum::Error>>> {
        self.with(|reading| {
            reading.begun = true;
            let polled = reading.body.poll_next_unpin(context);
            reading.ended |= matches!(polled, Poll::Ready(None | Some(Err(_))));
            polled
        })
    }

    fn stream(self) -> impl Stream<Item = Result<Bytes, axum::Error>> + Send {
        stream::poll_fn(move |context| self.poll(context))
    }

    async fn drain(self) {
        let mut rest = self.stream();
        let rest = async { while let Some(Ok(_)) = rest.next().await {} };
        // A sender that goes on for longer sees its connection closed.
        let _ = timeout(MOMENT, rest).await;
    }
}

/// Answers a request, after the rest of its body if it is refused.
pub(super) async fn read_rest_of_refused(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let asks_first = request.headers().contains_key(header::EXPECT);
    let (parts, body) = request.into_parts();
    let shared = SharedBody::new(body);
    let body = Body::from_stream(shared.clone().stream());
    let response = next.run(Request::from_parts(parts, body)).await;
    let refused = response.status().is_client_error() || response.status().is_server_error();
    let (begun, ended) = shared.with(|reading| (reading.begun, reading.ended));
    if refused && !ended && (begun || !asks_first) {
        shared.drain().await;
    }
    response
}
