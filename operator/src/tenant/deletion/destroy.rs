//! Removes the objects that `deletionPolicy: Delete` covers, once the store is proved empty: the claim that the
//! operator made, the telephone's claims and the key of what waits there, the ledger of erasures and the keys that it made,
//! in this order.
//!
//! Each is looked at first: it goes only if the operator made it for this very tenant, by its labels, and then only the
//! object that was looked at. What a person made under such a name stays.

use crate::tenant::build::names::{child_name, keys_name, ledger_name};
use crate::tenant::facts::belonging::{is_made_for, is_owned};
use crate::tenant::facts::storage::volume_of;
use crate::tenant::steps::apply::Child;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use kube::api::{DeleteParams, ListParams, Preconditions};
use kube::{Api, Client, ResourceExt};
use voicemail_cores::child_names::{sip_name, sip_selector_text};
use voicemail_resources::VoicemailTenant;
use voicemail_runtime::calls::{CallError, within_deadline};

/// Deletes them; what is gone already is no error. A claim of somebody else stays, and so do keys that were brought.
///
/// # Errors
/// The API server refuses or doesn't answer: repeat it then.
pub(super) async fn destroy_data(client: &Client, tenant: &VoicemailTenant) -> Result<(), CallError> {
    let name = tenant.name_any();
    if volume_of(tenant).is_some_and(|volume| volume.claim.is_some()) {
        delete_made::<PersistentVolumeClaim>(client, tenant, &child_name(&name)).await?;
    }
    delete_spools(client, tenant).await?;
    delete_made::<Secret>(client, tenant, &sip_name(&name)).await?;
    delete_made::<Secret>(client, tenant, &ledger_name(&name)).await?;
    if tenant.spec.keys.is_some() {
        return Ok(());
    }
    delete_made::<Secret>(client, tenant, &keys_name(&name)).await
}

/// Claims of the telephone's pods, with what never came to the core. The StatefulSet's controller made them after a template
/// of ours, which names this tenant.
async fn delete_spools(client: &Client, tenant: &VoicemailTenant) -> Result<(), CallError> {
    let (namespace, name) = (tenant.namespace().unwrap_or_default(), tenant.name_any());
    let api: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &namespace);
    let chosen = ListParams::default().labels(&sip_selector_text(&name));
    let claims = within_deadline("list the claims of the spool", api.list(&chosen)).await?;
    for claim in
        claims.items.iter().filter(|claim| is_owned(*claim, &name, &tenant.uid().unwrap_or_default()))
    {
        delete(&api, claim).await?;
    }
    Ok(())
}

async fn delete_made<K: Child>(
    client: &Client,
    tenant: &VoicemailTenant,
    name: &str,
) -> Result<(), CallError> {
    let namespace = tenant.namespace().unwrap_or_default();
    let api: Api<K> = Api::namespaced(client.clone(), &namespace);
    let Some(live) = within_deadline("read a child", api.get_opt(name)).await? else { return Ok(()) };
    let kind = K::KIND;
    if !is_made_for(&live, &tenant.name_any(), &tenant.uid().unwrap_or_default()) {
        tracing::warn!(kind, namespace, name, "it stays, since the operator didn't make it for this tenant");
        return Ok(());
    }
    delete(&api, &live).await
}

async fn delete<K: Child>(api: &Api<K>, live: &K) -> Result<(), CallError> {
    let name = live.name_any();
    tracing::warn!(kind = K::KIND, namespace = live.namespace(), name, "deleting it, as confirmed");
    let preconditions = Some(Preconditions { uid: live.uid(), resource_version: None });
    let parameters = DeleteParams { preconditions, ..Default::default() };
    match within_deadline("delete a child", api.delete(&name, &parameters)).await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}
