//! The product's stores on the servers of the tests, and the promises that every store must keep.
//!
//! It knows the store and what is below it, and nothing above: whoever changes a back end compiles neither the engine nor the
//! operator to test it.

pub mod object_stores;
pub mod store_contract;
