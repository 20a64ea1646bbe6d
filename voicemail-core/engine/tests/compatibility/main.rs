//! Stores of other versions: a tree that the first schema wrote, which every version must open, list, play and
//! forget; and what a newer version writes beside this one.
//!
//! `voicemail-core/engine/tests/fixtures/store-schema-1` holds one file a key, made once by [`fixture::fill`] with a clock
//! and randomness of its own; its numbers are from ranges that are reserved for fiction. It is never made
//! again: a change of what is written today must read what was written then. A new schema gets a tree of its
//! own: `VOICEMAIL_WRITE_FIXTURE=store-schema-2 cargo test -p voicemail-engine --test compatibility`, which refuses to
//! write over one that is there.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod fixture;
mod newer;
mod opens;
