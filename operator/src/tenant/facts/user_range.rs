//! Whether a tenant's namespace has a range of users, as those of OpenShift have.
//!
//! There the cluster gives each pod a user and a group of the range, and refuses a pod that asks for another one; so the
//! pods ask for none. It is asked once for each tenant: the range comes with the namespace and stays.

use crate::tenant::memory::Memories;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, ResourceExt};
use voicemail_resources::VoicemailTenant;
use voicemail_runtime::calls::{CallError, within_deadline};

/// Annotation of such a namespace.
pub const USER_RANGE: &str = "openshift.io/sa.scc.uid-range";

/// Whether this is one.
pub fn has_user_range(namespace: &Namespace) -> bool {
    namespace.annotations().contains_key(USER_RANGE)
}

/// Reads it, unless it is known.
///
/// # Errors
/// The API server doesn't answer. Not being allowed to look means that there is none.
pub async fn read_user_range(
    client: &Client,
    memories: &Memories,
    tenant: &VoicemailTenant,
) -> Result<bool, CallError> {
    if let Some(known) = memories.user_range(tenant) {
        return Ok(known);
    }
    let api: Api<Namespace> = Api::all(client.clone());
    let name = tenant.namespace().unwrap_or_default();
    let found = match within_deadline("read the namespace's range of users", api.get_opt(&name)).await {
        Ok(found) => found.is_some_and(|namespace| has_user_range(&namespace)),
        Err(error) if error.is_forbidden() => false,
        Err(error) => return Err(error),
    };
    memories.note_user_range(tenant, found);
    Ok(found)
}
