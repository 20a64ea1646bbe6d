//! The documents: their links, the form of decisions, the site, and what is generated of them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod chart;
mod decisions;
mod fields;
mod links;
mod pages;
mod reasons;
mod site;
