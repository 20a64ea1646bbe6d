//! Audio as an answer: all of it or one range, with an entity tag that is the SHA-256 of the whole.
//!
//! The recording is opened only once it is known that and what of it is wanted. A client that asks for another form
//! than the stored one gets it from [`converted`](super::converted).

use super::converted::{Wanted, serve_converted};
use super::problem::{ApiError, ProblemKind};
use super::range::{Part, choose_part};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use std::ops::Range;
use utoipa::ToSchema;
use voicemail_engine::mailbox::Audio;

/// Bytes as they are, for the API's document.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "it stands in the document alone")]
pub(super) struct RawBytes(Vec<u8>);

/// A recording on its way out, or a range of it.
pub(super) type Opening<'a> = BoxFuture<'a, Result<Audio, ApiError>>;

/// Answers with what of a recording the request's headers ask for.
///
/// # Errors
/// The errors of `open`, which gets the range that is wanted.
pub(super) async fn serve_audio<'a>(
    headers: &HeaderMap,
    sha256: &str,
    size: u64,
    wanted: Option<Wanted>,
    open: impl Fn(Option<Range<u64>>) -> Opening<'a> + Send + Sync,
) -> Result<Response, ApiError> {
    if let Some(wanted) = wanted
        && let Some(response) = serve_converted(headers, sha256, size, wanted, &open).await?
    {
        return Ok(response);
    }
    let etag = format!("\"{sha256}\"");
    let range = match choose_part(headers, &etag, size) {
        Part::NotModified => return Ok(describe(StatusCode::NOT_MODIFIED, &etag).into_response()),
        Part::Unsatisfiable => return Ok(outside(size)),
        Part::Whole => None,
        Part::Range(range) => Some(range),
    };
    let audio = open(range.clone()).await?;
    let status = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let (status, described) = describe(status, &etag);
    let mut response = (status, described, Body::from_stream(audio.bytes)).into_response();
    describe_length(&mut response, range, size);
    Ok(response)
}

pub(super) fn describe(status: StatusCode, etag: &str) -> (StatusCode, [(HeaderName, String); 5]) {
    let headers = [
        (header::CONTENT_TYPE, "audio/wav".to_owned()),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::VARY, "Accept".to_owned()),
        (header::ETAG, etag.to_owned()),
    ];
    (status, headers)
}

pub(super) fn describe_length(response: &mut Response, range: Option<Range<u64>>, size: u64) {
    let length = range.as_ref().map_or(size, |range| range.end - range.start);
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    let described = range.map(|range| format!("bytes {}-{}/{size}", range.start, range.end - 1));
    if let Some(Ok(value)) = described.map(HeaderValue::try_from) {
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
}

pub(super) fn outside(size: u64) -> Response {
    let problem = ApiError::new(ProblemKind::WrongRange, format!("the audio has {size} bytes"));
    ([(header::CONTENT_RANGE, format!("bytes */{size}"))], problem).into_response()
}
