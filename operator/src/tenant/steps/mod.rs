//! The steps of one reconcile, each a file. *Build* is the folder beside this one; *observe* is `look_at_pods` in `tenant/mod.rs`.
//!
//! ```text
//!  dereference ─▶ validate ─▶ (build) ─▶ apply ─▶ observe ─▶ status
//!   reads          pure: a plan   pure      writes    reads      pure, and one write
//!                  or a refusal                                  ├─ readiness, storage_status: what is said of pods and store
//!                                                                ├─ report: the write, and the events
//!                                                                └─ then orphans and ledger: what is done beside
//! ```

pub mod apply;
pub mod dereference;
pub mod email_status;
pub mod ledger;
pub mod narrow;
pub mod orphans;
pub mod readiness;
pub mod refusal;
pub mod report;
pub mod status;
#[cfg(test)]
pub(super) mod status_tests;
pub mod storage_status;
pub mod telephony_status;
pub mod validate;
pub mod web_status;
