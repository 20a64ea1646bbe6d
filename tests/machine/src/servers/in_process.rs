//! An HTTP/1.1 server inside the test process, whose connections end with it.
//!
//! It belongs to the async runtime that starts it. A service that answers an error has its connection
//! closed without an answer, and so has a body that fails half-way.

use std::error::Error;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// Any error.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;
/// Any body.
pub(crate) type AnyBody = UnsyncBoxBody<bytes::Bytes, BoxError>;

/// A listening server; dropping it closes its port and all of its connections.
#[derive(Debug)]
pub(crate) struct InProcess {
    task: JoinHandle<()>,
}

impl InProcess {
    /// Listens on `address` and answers with `service`.
    pub(crate) async fn start<S, B>(address: SocketAddr, service: S) -> Result<Self>
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let listener = TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
        Ok(Self { task: tokio::spawn(accept(listener, service)) })
    }

    /// Closes port and connections, and returns when they are closed.
    pub(crate) async fn stop(mut self) {
        self.task.abort();
        let _aborted = (&mut self.task).await;
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept<S, B>(listener: TcpListener, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    // Dropped with this task, the set ends all connections.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let service = service.clone();
                connections.spawn(async move {
                    // An error here is a connection that one side closed, as faults do on purpose.
                    let _closed = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}
