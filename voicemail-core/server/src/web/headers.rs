//! Headers of pages: what they may load and run, and who may frame them: nobody, but for the one page that is made for frames,
//! which the hosts may that the configuration names.
//!
//! Nothing inline, nothing from elsewhere, and no text becomes markup or script (Trusted Types): a caller's name stays a
//! name, whatever is in it.

use axum::http::{HeaderName, HeaderValue, header};

/// What pages may do, but for who may frame them. `svelte-trusted-html` is the policy by which the compiled page makes its own
/// templates.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
    media-src 'self' blob:; base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'; \
    trusted-types svelte-trusted-html; frame-ancestors";

/// The policy of a page that these origins may frame. An origin has no character that ends a directive: the configuration's
/// rules refuse it.
pub(super) fn policy(ancestors: &[String]) -> Option<(HeaderName, HeaderValue)> {
    let ancestors = if ancestors.is_empty() { "'none'".into() } else { ancestors.join(" ") };
    let value = HeaderValue::from_str(&format!("{POLICY} {ancestors}")).ok()?;
    Some((header::CONTENT_SECURITY_POLICY, value))
}

/// The page records greetings, and uses nothing else of the device.
const PERMISSIONS: &str = "microphone=(self), accelerometer=(), autoplay=(self), camera=(), display-capture=(), \
    fullscreen=(), geolocation=(), gyroscope=(), magnetometer=(), midi=(), payment=(), usb=()";

/// On every page.
pub(super) const OF_PAGES: [(HeaderName, HeaderValue); 4] = [
    (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    (HeaderName::from_static("permissions-policy"), HeaderValue::from_static(PERMISSIONS)),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

/// Nobody else's page may load what is ours.
pub(super) const RESOURCE_POLICY: (HeaderName, HeaderValue) =
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));

/// What other pages load by its name alone: asked for each time whether it is the same.
pub(super) const ASKED_EACH_TIME: (HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));

/// A name with a hash in it never means anything else.
pub(super) const FOR_A_YEAR: (HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
