//! Real object-store servers for the tests, each a process of its own with a folder of its own.
//!
//! A server is installed into the cache on first use (from the Go module proxy or npm, by pinned lock files),
//! starts on a free port, can be stopped, killed and started again on the same data, and ends with its value.
//! If it doesn't start, the end of its log says why. What the client library has no calls for (making buckets,
//! settings of buckets and accounts) goes through signed requests of [`s3_admin`] and [`azurite`].

pub mod azurite;
pub mod minio;
mod process;
pub mod s3_admin;

pub use azurite::Azurite;
pub use minio::{KeyPair, Minio};
