//! The object-store servers of the tests are what tests take them for: each keeps objects, decides races,
//! survives a restart, and the faults and oddities that tests ask for are really played.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's failure is a panic")]

mod azurite;
mod contract;
mod faults;
mod minio;
mod moto;
mod s3s;
mod versions;
mod versitygw;
