//! The voicemail operator: turns a `VoicemailTenant` into a running voicemail service and a `GdprRequest`
//! into a data-subject right exercised on it.
//!
//! ```text
//!  VoicemailTenant ──▶ tenant: dereference ▶ validate ▶ build ▶ apply ▶ status      children in the cluster
//!  GdprRequest     ──▶ gdpr:   dereference ▶ core client ▶ plan ▶ status            the tenant's core, HTTPS
//! ```
//!
//! `runtime` drives both and knows neither; `leader` lets one replica work at a time; `core_client` speaks to cores, and
//! `child_names` is what all of them call a tenant's children by. Reading and writing happen at the ends
//! of a reconcile only, the middle is pure. No phone number is ever written to an object, event, log or metric.

#[cfg(test)]
mod admitted_tests;
pub mod calls;
pub mod child_names;
pub mod controllers;
pub mod core_client;
pub mod crd_files;
pub mod crd_reference;
pub mod fence;
pub mod gdpr;
pub mod health;
pub mod import;
pub mod leader;
pub mod metrics;
pub mod migrate;
pub mod place;
pub mod population;
pub mod pre_delete;
#[cfg(test)]
mod reasons_tests;
pub mod redact;
pub mod runtime;
pub mod settings;
pub mod telemetry;
pub mod tenant;
pub mod tokens;
