//! The tenant's finalizer: while it is there, the tenant can't go.

use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use voicemail_resources::{FINALIZER, MANAGER, VoicemailTenant};
use voicemail_runtime::calls::{CallError, within_deadline};

/// Adds the finalizer, and gives the tenant as it is then.
///
/// # Errors
/// A conflict, when somebody changed the tenant meanwhile.
pub async fn add_finalizer(client: &Client, tenant: &VoicemailTenant) -> Result<VoicemailTenant, CallError> {
    let mut finalizers = tenant.finalizers().to_vec();
    finalizers.push(FINALIZER.into());
    write_finalizers(client, tenant, finalizers).await
}

/// Removes the finalizer. A tenant that is gone already is no error.
///
/// # Errors
/// A conflict, when somebody changed the tenant meanwhile.
pub(super) async fn remove_finalizer(client: &Client, tenant: &VoicemailTenant) -> Result<(), CallError> {
    let left = tenant.finalizers().iter().filter(|name| *name != FINALIZER).cloned().collect();
    match write_finalizers(client, tenant, left).await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

fn manager() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() }
}

/// Carries the resource version, so that another controller's finalizer is never lost.
async fn write_finalizers(
    client: &Client,
    tenant: &VoicemailTenant,
    finalizers: Vec<String>,
) -> Result<VoicemailTenant, CallError> {
    let api: Api<VoicemailTenant> = Api::namespaced(client.clone(), &tenant.namespace().unwrap_or_default());
    let version = tenant.resource_version();
    let body =
        json!({"metadata": {"uid": tenant.uid(), "resourceVersion": version, "finalizers": finalizers}});
    let (name, parameters, patch) = (tenant.name_any(), manager(), Patch::Merge(&body));
    within_deadline("write the tenant's finalizers", api.patch(&name, &parameters, &patch)).await
}
