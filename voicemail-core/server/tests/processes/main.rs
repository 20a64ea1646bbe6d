//! The programs as processes, with all that they ask for: one test program, so that two of these suites run at a time.
//!
//! Suites that measure, or load the machine on purpose, stand beside it: `idle`, `limits`, `rotation`.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod admin;
mod authorisation;
mod browser;
mod erasure;
mod full_volume;
mod gdpr_command;
mod media_server;
mod mwi;
mod personal_data;
mod restore;
mod schemathesis;
#[path = "../served/mod.rs"]
mod served;
mod shared_stores;
mod signals;
mod standalone;
mod traces;
mod webhook;
