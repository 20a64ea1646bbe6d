//! One signed request to a server beside `object_store`'s own, and its answer read to the end.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use object_store::client::{HttpClient, HttpRequest};

const TIMEOUT: Duration = Duration::from_secs(30);

/// An answer with its whole body.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status, whichever.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// This answer, or an error with its body unless its status is a success.
    pub fn check(self) -> Result<Self> {
        ensure!(self.status.is_success(), "the server answered {}: {}", self.status, self.text());
        Ok(self)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// One header as text; `None` when it isn't there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A client for signed requests, past any proxy of the environment.
pub(super) fn build_client() -> Result<HttpClient> {
    crate::install_crypto();
    let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build()?;
    Ok(HttpClient::new(client))
}

/// Sends a request that is signed already.
pub(super) async fn send(client: &HttpClient, request: HttpRequest) -> Result<Answer> {
    let what = format!("{} {}", request.method(), request.uri().path());
    let answer = client.execute(request).await.with_context(|| what.clone())?;
    let (parts, body) = answer.into_parts();
    let body = body.bytes().await.with_context(|| what)?;
    Ok(Answer { status: parts.status, headers: parts.headers, body })
}
