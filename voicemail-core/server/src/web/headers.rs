//! Headers of pages: what they may load and run, and who may frame them.
//!
//! Nothing inline, nothing from elsewhere, and no text becomes markup or script (Trusted Types): a caller's name stays a
//! name, whatever is in it.

use axum::http::{HeaderName, HeaderValue, header};

/// What pages may do. `svelte-trusted-html` is the policy by which the compiled page makes its own templates.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
    media-src 'self' blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types svelte-trusted-html";

/// The page records greetings, and uses nothing else of the device.
const PERMISSIONS: &str = "microphone=(self), accelerometer=(), autoplay=(self), camera=(), display-capture=(), \
    fullscreen=(), geolocation=(), gyroscope=(), magnetometer=(), midi=(), payment=(), usb=()";

/// On every page.
pub(super) const OF_PAGES: [(HeaderName, HeaderValue); 5] = [
    (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    (HeaderName::from_static("permissions-policy"), HeaderValue::from_static(PERMISSIONS)),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

/// Nobody else's page may load what is ours.
pub(super) const RESOURCE_POLICY: (HeaderName, HeaderValue) =
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));

/// A name with a hash in it never means anything else.
pub(super) const FOR_A_YEAR: (HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
