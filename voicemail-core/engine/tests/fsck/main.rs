//! The check of a whole store, and what the services do beside damage that it would find.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod damage;
mod kinds;
