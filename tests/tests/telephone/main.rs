//! The telephone side on real parts: a core and the program as processes, and a telephone from Debian that calls.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod lamps;
mod listener;
mod messages;
mod owners;
mod scene;
