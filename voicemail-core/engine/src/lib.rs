//! The services of voicemail: mailboxes, message waiting indication and data-subject rights on the stores of one tenant.

pub mod audit;
mod clock_trust;
pub mod context;
pub mod core;
pub mod digests;
pub mod fsck;
pub mod gdpr;
pub mod mailbox;
pub mod mwi;
pub mod principal;
pub mod search;
pub mod subscription;
pub mod sweep;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
