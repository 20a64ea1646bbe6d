//! As much of gRPC as kubelet needs of a plugin: calls of one message each way, over HTTP/2 on a Unix socket.
//!
//! A message is five bytes (not compressed, length) and its body; the result of a call is in the trailers.

use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::{BufMut, Bytes, BytesMut};
use futures::future::BoxFuture;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

const PREFIX: usize = 5;

/// Why a call fails.
#[derive(Debug)]
pub(super) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// There is no such method (UNIMPLEMENTED).
    pub(super) fn unimplemented(method: &str) -> Self {
        Self { code: 12, message: method.to_owned() }
    }

    /// It can't be done (INTERNAL); kubelet tries again.
    pub(super) fn internal(error: &anyhow::Error) -> Self {
        Self { code: 13, message: format!("{error:#}") }
    }
}

/// A service that answers calls, by full method name.
pub(super) trait Service: Send + Sync + 'static {
    /// Answers one call.
    fn call<'a>(&'a self, method: &'a str, message: Bytes) -> BoxFuture<'a, Result<Vec<u8>, Failure>>;
}

/// Serves until aborted.
pub(super) fn serve(listener: UnixListener, service: Arc<dyn Service>) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve_connection(stream, service.clone()));
        }
    })
}

/// kubelet closes connections as it likes, so their end tells nothing.
async fn serve_connection(stream: UnixStream, service: Arc<dyn Service>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let service = service.clone();
        tokio::spawn(async move {
            let method = request.uri().path().to_owned();
            if let Err(error) = answer(request, respond, service.as_ref()).await {
                eprintln!("the CSI driver's answer to {method} was lost: {error:#}");
            }
        });
    }
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    service: &dyn Service,
) -> Result<()> {
    let method = request.uri().path().to_owned();
    let message = read_message(request.into_body()).await?;
    let result = service.call(&method, message).await;
    let head = Response::builder().header("content-type", "application/grpc").body(())?;
    let mut stream = respond.send_response(head, false)?;
    let (code, text) = match result {
        Ok(body) => {
            stream.send_data(write_message(&body)?, false)?;
            (0, String::new())
        }
        Err(failure) => {
            eprintln!("the CSI driver refuses {method}: {}", failure.message);
            (failure.code, failure.message)
        }
    };
    stream.send_trailers(trailers(code, &text)?).context("sending the result")
}

async fn read_message(mut body: RecvStream) -> Result<Bytes> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze().slice(PREFIX..))
}

fn write_message(body: &[u8]) -> Result<Bytes> {
    let mut bytes = BytesMut::with_capacity(PREFIX + body.len());
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(body.len())?);
    bytes.extend_from_slice(body);
    Ok(bytes.freeze())
}

fn trailers(code: u8, text: &str) -> Result<HeaderMap> {
    let plain: String =
        text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(u16::from(code)));
    trailers.insert("grpc-message", HeaderValue::try_from(plain.replace('%', "?"))?);
    Ok(trailers)
}
