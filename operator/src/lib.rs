//! The voicemail operator: turns a `VoicemailTenant` into a running voicemail service and a `GdprRequest`
//! into a data-subject right exercised on it.
//!
//! ```text
//!  VoicemailTenant ──▶ tenant: dereference ▶ validate ▶ build ▶ apply ▶ status      children in the cluster
//!  GdprRequest     ──▶ gdpr:   dereference ▶ core client ▶ plan ▶ status            the tenant's core, HTTPS
//! ```
//!
//! The crate `voicemail-runtime` drives both, knows neither, and lets one replica work at a time; `voicemail-cores` speaks
//! to cores, and says how a tenant's children are called. Reading and writing happen at the ends of a reconcile only,
//! the middle is pure. No phone number is ever written to an object, event, log or metric.

#[cfg(test)]
mod admitted_tests;
pub mod controllers;
#[cfg(test)]
mod frozen_tests;
pub mod gdpr;
pub mod health;
pub mod pre_delete;
pub mod settings;
pub mod telemetry;
pub mod tenant;
