//! Tags of states, which preconditions of a change name.

use serde::Serialize;
pub use voicemail_model::Precondition;
use voicemail_model::TenantKey;
use voicemail_store::Key;

/// A tag that is the same for the same state; keyed, so that it tells nothing to who doesn't see the state.
pub(super) fn tag_of<T: Serialize>(tenant: &TenantKey, key: &Key, state: &T) -> String {
    // A stored document can be written as JSON; if it couldn't, the tag would match nothing but itself.
    let state = serde_json::to_string(state).unwrap_or_default();
    tenant.tag("entity-tag", format!("{key} {state}").as_bytes())[..24].to_owned()
}
