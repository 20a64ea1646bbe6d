//! The ways to the present resources, which the operator's program offers as commands: `import` reads the vendor's list of
//! tenants and chart values, `migrate` converts objects of the former API version.
//!
//! What can go wrong: a value that the present resources can't say. It is named, and nothing is written in its place.

pub mod import;
pub mod migrate;
