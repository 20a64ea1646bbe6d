//! Message waiting indication as reconciled state: an MWI state is always read from the store.
//!
//! ```text
//! change here ──┐
//! hint of a peer ┼─▶ mailbox is marked ─▶ hub reads its index (conditionally) ─▶ state differs? ─▶ subscribers
//! timer ────────┘                                                                                 compare, tell
//! ```
//!
//! Nothing carries counts but the mailbox's own index, so a change that is announced twice, late or never can't
//! leave an MWI state wrong for longer than the timer's period. Only mailboxes that somebody watches are read. A
//! subscriber holds what its client was told and compares; nothing is queued for a slow one.

mod backlog;
mod event;
mod hint;
mod hub;
mod peers;
mod refused;
mod watched;
mod webhook;

pub use event::{Change, MwiByMailbox, state, steps};
pub use event::{MwiEvent, MwiGone, MwiState};
pub(crate) use hub::{Hub, Topic};
pub use refused::Refused;
pub use watched::{Alarm, Cause, Follower};
pub(crate) use webhook::{Courier, Delivered, forget_unused};
