//! The telephone side of a tenant's voicemail: callers leave messages, owners dial in, desk phones show that messages wait (MWI).
//!
//! ```text
//! trunks ──SIP──▶ transport ▶ signalling ─▶ calls ─▶ core ──HTTPS──▶ the tenant's core
//!        ──RTP──▶ media ────────────────────┘  └──▶ spool ─▶ courier ──┘
//! ```
//!
//! A call is a leg (signalling) and a stream of audio (media), tied together by `calls`. A recording goes to the `spool`
//! as it is spoken and is deposited from there until the core accepts it, so that neither a core that is away nor the
//! death of this process loses it. The core is known by its HTTPS contract alone.
//!
//! Pure parts (`sdp`, `dialogue`, `prompts::words`, `g711`, `media::{rtp, reorder, telephone_event}`, `signalling::{address, evidence, identity}`,
//! `spool::seal`) know no socket and no clock.
//!
//! No caller's number, name, digit or key of a mailbox is in a log line, a metric or an error.

#![cfg_attr(not(test), warn(clippy::large_futures))]

pub mod calls;
pub mod config;
pub mod core;
pub mod dialogue;
pub mod g711;
pub mod media;
pub mod mwi;
pub mod prompts;
pub mod sdp;
pub mod serve;
pub mod signalling;
pub mod spool;
pub mod telemetry;
pub mod transport;
