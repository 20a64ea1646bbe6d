//! MWI for systems that can't hold a stream: signed HTTPS requests, at least once, in order for each mailbox.
//!
//! ```text
//! change here ─▶ mailbox waits ─▶ this replica has its turn (one at a time a tenant) ─▶ state read ─▶ differs from
//!                what was last delivered? ─▶ POST ─▶ 2xx ─▶ remembered in the store ─▶ turn given back
//! ```
//!
//! Each receiver has a queue, a turn and a memory of its own, so that one that is away holds up no other.
//!
//! The queue holds mailboxes, not events: the newest state is read when it is sent. The delivered state is remembered
//! for each mailbox, so that a restart sends again only what differs. A crash between delivery and memory sends once
//! more, with the same id.

mod address;
mod client;
mod courier;
mod message;
mod receiver;
mod record;

pub(super) use courier::{flush, run};
pub(super) use receiver::Receiver;
pub(crate) use record::forget_unused;
pub(crate) use record::{Courier, Delivered};
