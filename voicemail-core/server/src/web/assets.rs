//! The built pages, compiled into the program by `build.rs`.

use super::headers::{ASKED_EACH_TIME, FOR_A_YEAR, OF_PAGES, RESOURCE_POLICY, policy};
use crate::http::{ApiError, App, Framed, ProblemKind};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};

/// A built file.
struct Asset {
    /// Its name below `/ui/a/`.
    name: &'static str,
    /// Its media type.
    kind: &'static str,
    plain: &'static [u8],
    gzip: &'static [u8],
}

// PAGE, MWI and ASSETS.
include!(concat!(env!("OUT_DIR"), "/assets.rs"));

const VARIES: (HeaderName, HeaderValue) = (header::VARY, HeaderValue::from_static("accept-encoding"));

/// The one page, which nobody frames.
pub(super) async fn page(headers: HeaderMap) -> Result<Response, ApiError> {
    framed_by(&[], &headers)
}

/// The page as desktops of agents show it in a frame.
pub(super) async fn embedded(State(app): State<App>, headers: HeaderMap) -> Result<Response, ApiError> {
    let hosts = app.config().web.as_ref().map(|web| web.embed_in.clone()).unwrap_or_default();
    if hosts.is_empty() {
        let told = "no page may show this tenant's Inbox in a frame: embedIn names none";
        return Err(ApiError::new(ProblemKind::UnknownPath, told));
    }
    let mut response = framed_by(&hosts, &headers)?;
    response.extensions_mut().insert(Framed);
    Ok(response)
}

fn framed_by(hosts: &[String], headers: &HeaderMap) -> Result<Response, ApiError> {
    let policy = policy(hosts);
    let policy = policy.ok_or_else(|| ApiError::new(ProblemKind::Internal, "the policy can't be sent"))?;
    Ok((OF_PAGES, [policy], [RESOURCE_POLICY], body(&PAGE, headers)).into_response())
}

/// The element that shows a count on other pages.
pub(super) async fn element(headers: HeaderMap) -> Response {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(MWI.kind));
    ([kind, ASKED_EACH_TIME], body(&MWI, &headers)).into_response()
}

/// What the page loads. An answer that it isn't there isn't kept: a replica of another version has it.
pub(super) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, ApiError> {
    let found = ASSETS.iter().find(|asset| asset.name == name).ok_or_else(|| {
        ApiError::new(ProblemKind::UnknownPath, "this release has no such file: load the page again")
    })?;
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(found.kind));
    Ok(([kind, FOR_A_YEAR, RESOURCE_POLICY], body(found, &headers)).into_response())
}

fn body(asset: &Asset, headers: &HeaderMap) -> Response {
    if takes_gzip(headers) {
        let coding = (header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        ([VARIES, coding], asset.gzip).into_response()
    } else {
        ([VARIES], asset.plain).into_response()
    }
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let given = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    given.unwrap_or_default().split(',').any(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = quality.trim().strip_prefix("q=").is_some_and(|q| q.trim().parse() == Ok(0.0_f32));
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_whoever_takes_it() {
        for (given, takes) in
            [("gzip, br", true), ("br, GZIP;q=0.5", true), ("", false), ("gzip;q=0", false), ("br", false)]
        {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(given))]);
            assert_eq!(takes_gzip(&headers), takes, "{given}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn the_page_loads_files_that_are_there_and_has_nothing_inline() {
        let page = std::str::from_utf8(PAGE.plain).unwrap();
        let loaded: Vec<&str> =
            page.split("/ui/a/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(loaded.len() >= 2, "{page}");
        for name in loaded {
            assert!(ASSETS.iter().any(|asset| asset.name == name), "{name}");
        }
        assert!(
            !page.contains("<style")
                && page.matches("<script").count()
                    == page.matches("<script type=\"module\" crossorigin src=").count()
        );
    }
}
