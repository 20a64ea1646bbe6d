//! How the operator and the plugin find a tenant's children, look at its pods, and speak to its core.
//!
//! ```text
//!  destinations  where its cores send data, and what a change of their configuration moves
//!  child_names   names, labels and ports, by one rule for whoever makes, reads or calls them
//!  pods          list a tenant's pods ▶ ask each core's metrics port ▶ PodSeen
//!  tokens        a short-lived token of an account, for one tenant's core
//!  core_client   HTTPS to a core with such a token ▶ an answer, or why there is none
//! ```
//!
//! No phone number is ever written to an object, event, log or metric: a core's words are passed on without them.

pub mod child_names;
pub mod core_client;
pub mod destinations;
pub mod pods;
pub mod tokens;
