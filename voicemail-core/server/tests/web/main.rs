//! The pages that a core serves: in a real browser, at real issuers, as they were built, and by what.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod browser;
mod built;
mod colours;
mod embedding;
mod login;
mod words;
