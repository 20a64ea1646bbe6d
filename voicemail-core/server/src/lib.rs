//! The voicemail service as a process: HTTP, authentication, reload and drain, and administration of a tenant's stores.

#![cfg_attr(not(test), warn(clippy::large_futures))]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests wait for what they began"))]

pub mod admin;
pub mod auth;
pub mod configuration;
pub mod demonstration;
pub mod http;
pub mod server;
pub mod web;
