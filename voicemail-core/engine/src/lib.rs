//! The services of voicemail: mailboxes, message waiting indication and data-subject rights on the stores of one tenant.

#![cfg_attr(not(test), warn(clippy::large_futures))]

mod abreast;
pub mod audit;
pub mod context;
pub mod core;
pub mod digests;
pub mod door;
pub mod fsck;
pub mod gdpr;
pub mod mailbox;
pub mod mwi;
mod patience;
pub mod principal;
pub mod search;
pub mod subscription;
pub mod sweep;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
