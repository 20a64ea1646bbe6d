//! The voicemail data plane: mailboxes that callers deposit into and agents listen to, message
//! waiting indication, and data-subject rights, on stores without a database.
//!
//! With default features off only [`config`], [`gdpr_api`] and [`reasons`] remain, and with `proofs` the check of receipts: what the
//! operator needs.

pub mod config;
pub mod gdpr_api;
#[cfg(feature = "proofs")]
pub mod proofs;
pub mod reasons;

#[cfg(feature = "server")]
pub mod admin;
#[cfg(feature = "server")]
pub mod audio;
#[cfg(feature = "server")]
pub mod audit;
#[cfg(feature = "server")]
pub mod auth;
#[cfg(feature = "server")]
mod broken;
#[cfg(feature = "server")]
pub mod clock;
#[cfg(feature = "server")]
mod clock_trust;
#[cfg(feature = "server")]
pub mod context;
#[cfg(feature = "server")]
pub mod core;
#[cfg(feature = "server")]
mod digests;
#[cfg(feature = "server")]
pub mod fsck;
#[cfg(feature = "server")]
pub mod gdpr;
#[cfg(feature = "server")]
pub mod gdpr_cli;
#[cfg(feature = "server")]
pub mod http;
#[cfg(feature = "server")]
pub mod mailbox;
#[cfg(feature = "server")]
pub mod model;
#[cfg(feature = "server")]
pub mod mwi;
#[cfg(feature = "server")]
mod regions;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod store;
#[cfg(feature = "server")]
pub mod sweep;
#[cfg(feature = "server")]
pub mod telemetry;

#[cfg(test)]
#[cfg(feature = "server")]
mod compatibility;
#[cfg(test)]
#[cfg(feature = "server")]
mod simulation;

#[cfg(test)]
#[cfg(feature = "server")]
mod testing;
