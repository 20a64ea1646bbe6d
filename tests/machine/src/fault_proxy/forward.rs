//! Hands requests on to the server, and plays with the bodies of its answers.
//!
//! Each request gets a connection of its own, so that a server that was started again never sees one from
//! before.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderValue, Uri};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Body, Frame, Incoming};
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::servers::in_process::{AnyBody, BoxError};

/// The server behind the proxy.
pub(super) struct Upstream {
    server: SocketAddr,
    client: Client<HttpConnector, Incoming>,
}

impl Upstream {
    pub(super) fn new(server: SocketAddr) -> Self {
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        Self { server, client }
    }

    /// The server's answer, streamed; the request goes out as it came, Host header included.
    pub(super) async fn forward(&self, request: Request<Incoming>) -> Result<Response<AnyBody>, BoxError> {
        Ok(self.send(request).await?.map(|body| body.map_err(BoxError::from).boxed_unsync()))
    }

    async fn send(&self, mut request: Request<Incoming>) -> Result<Response<Incoming>, BoxError> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = format!("http://{}{path}", self.server).parse::<Uri>()?;
        Ok(self.client.request(request).await?)
    }

    /// Lets the server do it, to the end of its answer, which is thrown away.
    pub(super) async fn apply(&self, request: Request<Incoming>) -> Result<(), BoxError> {
        let answer = self.send(request).await?;
        discard(answer.into_body()).await
    }

    /// The answer in pieces, each after a pause.
    pub(super) async fn trickle(
        &self,
        request: Request<Incoming>,
        chunk: usize,
        every: Duration,
    ) -> Result<Response<AnyBody>, BoxError> {
        let (parts, bytes) = self.receive(request).await?;
        let pieces: Vec<Bytes> = bytes.chunks(chunk.max(1)).map(Bytes::copy_from_slice).collect();
        let slow = stream::iter(pieces).then(move |piece| async move {
            tokio::time::sleep(every).await;
            Ok(Frame::data(piece))
        });
        Ok(Response::from_parts(parts, StreamBody::new(slow).boxed_unsync()))
    }

    /// The first half of the answer, under the length of the whole; then the connection breaks.
    pub(super) async fn halve(&self, request: Request<Incoming>) -> Result<Response<AnyBody>, BoxError> {
        let (parts, bytes) = self.receive(request).await?;
        let half = Ok(Frame::data(bytes.slice(..bytes.len() / 2)));
        let broken = stream::once(async {
            // The half is flushed only when the body pauses.
            tokio::task::yield_now().await;
            Err(BoxError::from("cut by a rule"))
        });
        let body = StreamBody::new(stream::iter([half]).chain(broken));
        Ok(Response::from_parts(parts, body.boxed_unsync()))
    }

    /// The whole answer, with a header that tells its length.
    async fn receive(&self, request: Request<Incoming>) -> Result<(http::response::Parts, Bytes), BoxError> {
        let (mut parts, body) = self.send(request).await?.into_parts();
        let bytes = body.collect().await?.to_bytes();
        // An answer to HEAD tells the length of a body that it hasn't.
        if parts.headers.remove(TRANSFER_ENCODING).is_some() || !parts.headers.contains_key(CONTENT_LENGTH) {
            parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        }
        Ok((parts, bytes))
    }
}

/// Reads a body to its end.
pub(super) async fn discard<B>(mut body: B) -> Result<(), BoxError>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    while let Some(frame) = body.frame().await {
        let _thrown_away = frame.map_err(Into::into)?;
    }
    Ok(())
}
