//! The voicemail operator: turns a `VoicemailTenant` into a running voicemail service and a `GdprRequest`
//! into a data-subject right exercised on it.
//!
//! ```text
//!  VoicemailTenant ──▶ tenant: dereference ▶ validate ▶ build ▶ apply ▶ status      children in the cluster
//!  GdprRequest     ──▶ gdpr:   dereference ▶ core client ▶ plan ▶ status            the tenant's core, HTTPS
//! ```
//!
//! The crate `voicemail-runtime` drives both, knows neither, and lets one replica work at a time; `core_client` speaks to
//! cores, and `child_names` is what all of them call a tenant's children by. Reading and writing happen at the ends
//! of a reconcile only, the middle is pure. No phone number is ever written to an object, event, log or metric.

#[cfg(test)]
mod admitted_tests;
pub mod child_names;
pub mod controllers;
pub mod core_client;
pub mod crd_files;
pub mod crd_reference;
pub mod gdpr;
pub mod health;
pub mod import;
pub mod migrate;
pub mod pre_delete;
#[cfg(test)]
mod reasons_tests;
pub mod settings;
pub mod telemetry;
pub mod tenant;
pub mod tokens;
