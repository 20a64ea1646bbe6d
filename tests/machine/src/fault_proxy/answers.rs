//! Errors as the two kinds of stores, and an API server, say them, and answers with another `Date`.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use jiff::{SignedDuration, fmt::rfc2822};

use super::whole_seconds;
use crate::servers::in_process::{AnyBody, BoxError};

/// Whose errors are played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// XML with `Code`.
    S3,
    /// The same and the header `x-ms-error-code`.
    Azure,
    /// A `Status` of an API server of Kubernetes, in JSON.
    Kubernetes,
}

/// Why a store refuses a signed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The credentials' time is over: `ExpiredToken`, on Azure `AuthenticationFailed`.
    Expired,
    /// The key isn't known (any more): `InvalidAccessKeyId`, on Azure `AuthenticationFailed`.
    UnknownKey,
}

/// 500, 503 and their like.
pub(super) fn server_error(dialect: Dialect, status: StatusCode) -> Response<AnyBody> {
    let (s3, azure) = match status {
        StatusCode::SERVICE_UNAVAILABLE => ("ServiceUnavailable", "ServerBusy"),
        _ => ("InternalError", "InternalError"),
    };
    write(dialect, status, s3, azure)
}

/// 409 of a conditional write.
pub(super) fn conflict(dialect: Dialect) -> Response<AnyBody> {
    write(dialect, StatusCode::CONFLICT, "ConditionalRequestConflict", "BlobAlreadyExists")
}

/// 503 or 429 with a time to wait.
pub(super) fn throttled(dialect: Dialect, status: StatusCode, retry_after: Duration) -> Response<AnyBody> {
    let mut answer = write(dialect, status, "SlowDown", "ServerBusy");
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(whole_seconds(retry_after)));
    answer
}

/// 403.
pub(super) fn denied(dialect: Dialect, denial: Denial) -> Response<AnyBody> {
    let s3 = match denial {
        Denial::Expired => "ExpiredToken",
        Denial::UnknownKey => "InvalidAccessKeyId",
    };
    write(dialect, StatusCode::FORBIDDEN, s3, "AuthenticationFailed")
}

fn write(dialect: Dialect, status: StatusCode, s3: &'static str, azure: &'static str) -> Response<AnyBody> {
    if dialect == Dialect::Kubernetes {
        return write_status(status);
    }
    let code = if dialect == Dialect::S3 { s3 } else { azure };
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>A rule of the fault proxy \
         answered.</Message></Error>"
    );
    let mut answer = build(status, "application/xml", text);
    if dialect == Dialect::Azure {
        answer.headers_mut().insert("x-ms-error-code", HeaderValue::from_static(azure));
    }
    answer
}

fn write_status(status: StatusCode) -> Response<AnyBody> {
    let reason = match status.as_u16() {
        403 => "Forbidden",
        409 => "Conflict",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        _ => "InternalError",
    };
    let body = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason,
        "message": "A rule of the fault proxy answered.", "code": status.as_u16(),
    });
    build(status, "application/json", body.to_string())
}

fn build(status: StatusCode, kind: &'static str, text: String) -> Response<AnyBody> {
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// The answer with its `Date` moved; one without a `Date` gets one that is off by as much.
pub(super) fn shift_date(mut answer: Response<AnyBody>, seconds: i64) -> Result<Response<AnyBody>, BoxError> {
    let format = rfc2822::DateTimePrinter::new();
    let told = answer.headers().get(DATE).and_then(|value| value.to_str().ok());
    let told = told.map_or_else(|| Ok(jiff::Timestamp::now()), parse_date)?;
    let text = format.timestamp_to_rfc9110_string(&told.checked_add(SignedDuration::from_secs(seconds))?)?;
    answer.headers_mut().insert(DATE, HeaderValue::try_from(text)?);
    Ok(answer)
}

fn parse_date(text: &str) -> Result<jiff::Timestamp, jiff::Error> {
    rfc2822::DateTimeParser::new().parse_timestamp(text)
}
