//! Requests that the client library has no calls for, signed by its authorizers.
//!
//! One try each; the caller's patience repeats what is safe to repeat.

use super::super::StoreError;
use super::errors::{meaning, read_code, reading};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};

/// An answer, whole.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    /// The body of a success; `None` for 404.
    pub(super) fn found(self) -> Result<Option<Bytes>, StoreError> {
        match self.status {
            status if status.is_success() => Ok(Some(self.body)),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(self.refusal()),
        }
    }

    /// The body of a setting; `None` where there is none, or the server has no such settings.
    pub(super) fn setting(self) -> Result<Option<Bytes>, StoreError> {
        match self.status {
            StatusCode::NOT_IMPLEMENTED | StatusCode::METHOD_NOT_ALLOWED => Ok(None),
            _ => self.found(),
        }
    }

    /// The error that this answer is.
    pub(super) fn refusal(&self) -> StoreError {
        let code = read_code(&String::from_utf8_lossy(&self.body));
        let text = match &code {
            Some(code) => format!("the server answered {code}"),
            None => format!("the server answered {}", self.status.as_u16()),
        };
        if let Some(known) = code.and_then(|code| meaning(&code, &text)) {
            return known;
        }
        match self.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => StoreError::Credentials(text),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                StoreError::Unclear(text)
            }
            _ => StoreError::Refused(text),
        }
    }
}

/// A request, still unsigned.
pub(super) fn build_request(method: Method, url: &str, body: String) -> Result<HttpRequest, StoreError> {
    let invalid = |_| StoreError::Refused("the endpoint isn't a URL".into());
    let (length, body) = (body.len(), HttpRequestBody::from(body));
    let request = http::Request::builder().method(method).uri(url);
    let request = if length > 0 { request.header(http::header::CONTENT_LENGTH, length) } else { request };
    request.body(body).map_err(invalid)
}

/// Sends a signed request and reads the answer.
pub(super) async fn send(client: &HttpClient, request: HttpRequest) -> Result<Answer, StoreError> {
    let failed = |error| reading(object_store::Error::Generic { store: "raw", source: Box::new(error) });
    let response = client.execute(request).await.map_err(failed)?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.into_body().collect().await.map_err(failed)?.to_bytes();
    Ok(Answer { status, headers, body })
}
