//! Sends e-mails about new messages.
//!
//! ```text
//! mailbox changed here ─┐
//! start, timer ─────────┴▶ waiting ─▶ turn of that mailbox: its index, its readers ─▶ owed ─▶ SMTP ─▶ settled in the store
//! ```
//!
//! Nothing is queued in the store: what is owed follows from a mailbox's index and from what was settled. So a message that
//! was heard, deleted or hidden by an erasure isn't sent, and a crash between a server's yes and the note of it sends the same
//! mail once more, with the same `Message-ID`. The write that takes a turn notes what the turn may send, so that an erasure names
//! a mail that the server may have, whatever became of its sender. One replica at a time has a mailbox's turn, so its mails stay in order.
//!
//! What can go wrong: the server (all waits, with growing pauses), one address for good (noted at the user), one mail for good
//! (noted at the message), one address for now (its later mails wait with it, those of others don't).

#![cfg_attr(not(test), warn(clippy::large_futures))]

mod courier;
mod desk;
mod health;
mod link;
mod post;
mod preview;
mod readers;
mod sending;
#[cfg(feature = "testing")]
pub mod testing;
mod turn;
mod unsubscribe;
mod waiting;
mod writing;

pub use courier::run;
pub use health::{Health, State};
pub use post::{Carrier, Unsent};
pub use preview::{PreviewError, preview};
pub use unsubscribe::{UNSUBSCRIBE_PATH, Unsubscription, unsubscribe_at};
