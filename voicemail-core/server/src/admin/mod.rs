//! Administrators' commands beside the cores: `voicemail admin …`.
//!
//! Flow: [`open`](voicemail_engine::core::tool::open) reads keys, stores and tenant document without probing, registering or sweeping; over
//! read-only stores unless something is to be changed. The work itself is one file a command; the checker
//! is [`fsck`](voicemail_engine::fsck).
//!
//! What can go wrong: the store isn't this tenant's, or doesn't answer: nothing is done then.

mod progress;
mod replay;
mod retention;
mod retire;
mod show;

pub use replay::{read_ledger, run_replay_erasures};

pub use progress::Progress;
pub use retention::{MailboxPlan, RetentionCounts, RetentionReport, apply_retention};
pub use retire::{Purpose, Retirement, run_retire};
pub use show::{CommandResult, run_apply_retention, run_fsck};

#[cfg(test)]
mod tests;
