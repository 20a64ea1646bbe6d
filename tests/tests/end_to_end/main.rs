//! Tenants and requests on the cluster, end to end: one test program, so that two of these suites run at a time. Each works
//! in namespaces of its own, most with an operator of their own.
//!
//! Suites that change what all share (the operator that is installed, kinds, admission policies), or that load the machine,
//! are programs of their own beside this one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod additions;
mod data_subject_rights;
mod deletion;
mod dual_stack;
mod gdpr_phases;
mod gdpr_regions;
mod messages_survive;
mod object_store_tenants;
mod operator_faults;
mod pages;
mod plugin;
mod restore_drill;
mod tenant_conditions;
mod tenant_lifecycle;
mod waiting_deletions;
