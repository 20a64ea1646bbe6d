//! Times that a request names, and ranges between them.

use super::ApiError;
use std::time::Duration;
use voicemail_model::Time;

/// A time as RFC 3339 has it.
pub(super) fn parse_time(field: &str, text: &str) -> Result<Time, ApiError> {
    let invalid = |_| {
        let detail = format!("{field}: write a time as RFC 3339 has it, such as 2026-09-21T14:13:20Z");
        ApiError::invalid(detail)
    };
    text.parse::<jiff::Timestamp>().map(|time| Time(time.as_millisecond())).map_err(invalid)
}

/// Checks that one time comes before another, and not by too much.
pub(super) fn check_range(from: Time, to: Time, longest: Duration) -> Result<(), ApiError> {
    if from <= to && to.since(from) <= longest {
        return Ok(());
    }
    let days = longest.as_secs() / 86_400;
    let detail = format!("from, to: write a time and a later one, at most {days} days apart");
    Err(ApiError::invalid(detail))
}

/// How many to list.
pub(super) fn check_limit(given: Option<u16>, default: u16, most: u16) -> Result<usize, ApiError> {
    let limit = given.unwrap_or(default);
    if (1..=most).contains(&limit) {
        return Ok(usize::from(limit));
    }
    Err(ApiError::invalid(format!("limit: write 1 to {most}")))
}
