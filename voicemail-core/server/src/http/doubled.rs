//! Requests with two headers of which there can be one.
//!
//! A proxy in front may have looked at the one, and we at the other: whom a request is from, and for, must not depend on that
//! (RFC 9112, section 3.2; RFC 9110, section 5.3).

use super::ApiError;
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

const SINGLE: [HeaderName; 3] = [AUTHORIZATION, HOST, CONTENT_TYPE];

/// Refuses such a request before anything of it is believed.
pub(super) async fn refuse_doubled(request: Request, next: Next) -> Response {
    match find_doubled(request.headers()) {
        None => next.run(request).await,
        Some(name) => ApiError::invalid(format!("send one {name} header, not several")).into_response(),
    }
}

fn find_doubled(headers: &HeaderMap<HeaderValue>) -> Option<HeaderName> {
    SINGLE.into_iter().find(|name| headers.get_all(name).iter().nth(1).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_each_is_taken_and_two_of_any_are_not_whatever_they_say() {
        let one: HeaderMap = SINGLE.into_iter().map(|name| (name, HeaderValue::from_static("x"))).collect();
        assert_eq!(find_doubled(&one), None);
        for name in SINGLE {
            let mut two = one.clone();
            two.append(name.clone(), HeaderValue::from_static("x"));
            assert_eq!(find_doubled(&two), Some(name));
        }
        let mut others = one;
        others.append("accept", HeaderValue::from_static("a"));
        others.append("accept", HeaderValue::from_static("b"));
        assert_eq!(find_doubled(&others), None);
    }
}
