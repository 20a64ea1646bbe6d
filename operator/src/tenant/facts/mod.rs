//! Single facts about what a tenant's spec points at: how each is read, and what condition follows from it.
//!
//! Flow: the step that dereferences reads them, the steps after it are pure. A fact that is wrong is a fact too, and
//! becomes a condition or a refusal; only a silent API server is an error.

pub mod access_secret;
pub mod access_secrets;
pub mod belonging;
pub mod certificate;
pub mod credentials;
pub mod policies;
pub mod pull_secrets;
pub mod reclaim;
pub mod storage;
pub mod telephones;
pub mod telephony_secrets;
pub mod user_range;
