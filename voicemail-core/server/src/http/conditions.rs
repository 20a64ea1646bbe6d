//! `If-Match` and `If-None-Match` of changes, and answers with an entity tag.

use super::ApiError;
use axum::Json;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use voicemail_engine::mailbox::Precondition;

/// Reads the preconditions of a request.
pub(super) fn read_precondition(headers: &HeaderMap) -> Result<Precondition, ApiError> {
    let text = |name: header::HeaderName| {
        headers.get(name).map(|value| value.to_str().unwrap_or("?").trim().to_owned())
    };
    match (text(header::IF_MATCH), text(header::IF_NONE_MATCH)) {
        (None, None) => Ok(Precondition::Always),
        (Some(all), None) if all == "*" => Ok(Precondition::Exists),
        (None, Some(all)) if all == "*" => Ok(Precondition::Absent),
        // There and not there: never.
        (Some(_), Some(all)) if all == "*" => Ok(Precondition::Tags(Vec::new())),
        // Weak tags never match, as the RFC wants it.
        (Some(tags), None) => {
            let strong = |tag: &str| tag.trim().strip_prefix('"')?.strip_suffix('"').map(str::to_owned);
            Ok(Precondition::Tags(tags.split(',').filter_map(strong).collect()))
        }
        _ => {
            let detail = "send If-Match with entity tags or a star, or If-None-Match with a star";
            Err(ApiError::invalid(detail))
        }
    }
}

/// An answer with its entity tag.
pub(super) fn tagged<T: Serialize>(tag: &str, body: T) -> Response {
    ([(header::ETAG, format!("\"{tag}\"")), (header::CACHE_CONTROL, "private, no-cache".into())], Json(body))
        .into_response()
}
