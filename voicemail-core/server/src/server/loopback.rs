//! What a demonstration takes: requests for this machine by its own names. A page of the web whose name was made to lead
//! here (DNS rebinding) has another one.

use crate::http::{ApiError, ProblemKind};
use axum::extract::Request;
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

pub(super) async fn require_own_name(request: Request, next: Next) -> Response {
    if is_own(request.headers(), request.uri()) {
        return next.run(request).await;
    }
    let detail = "a demonstration is reached as localhost, 127.0.0.1 or [::1] alone";
    ApiError::new(ProblemKind::UnknownPath, detail).into_response()
}

fn is_own(headers: &HeaderMap, uri: &Uri) -> bool {
    let hosts: Vec<&str> = match uri.authority() {
        Some(authority) => vec![authority.as_str()],
        None => headers.get_all(header::HOST).iter().filter_map(|host| host.to_str().ok()).collect(),
    };
    let [host] = hosts.as_slice() else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    name.eq_ignore_ascii_case("localhost") || name == "127.0.0.1" || name == "[::1]"
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn host(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(value))])
    }

    #[test]
    fn only_this_machines_own_names_are_taken() {
        let path = Uri::from_static("/ui");
        for own in ["localhost:8420", "LOCALHOST", "127.0.0.1:1", "[::1]:8420", "[::1]"] {
            assert!(is_own(&host(own), &path), "{own}");
        }
        for other in
            ["evil.example:8420", "localhost.evil.example", "127.0.0.1.nip.io", "10.0.0.1", "", "localhost:x"]
        {
            assert!(!is_own(&host(other), &path), "{other}");
        }
        assert!(!is_own(&HeaderMap::new(), &path));
        assert!(!is_own(&host("localhost"), &Uri::from_static("http://evil.example/ui")));
        let mut two = host("localhost");
        two.append(header::HOST, HeaderValue::from_static("evil.example"));
        assert!(!is_own(&two, &path));
    }
}
