//! What goes under `deletionPolicy: Delete`, once the store is proved empty: the claim that the operator made, the
//! ledger of erasures and the keys that it made, in this order.

use crate::api::{TENANT_LABEL, VoicemailTenant};
use crate::calls::{CallError, within_deadline};
use crate::tenant::build::names::{child_name, keys_name, ledger_name};
use crate::tenant::storage::volume_of;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use kube::api::{DeleteParams, Preconditions};
use kube::{Api, Client, ResourceExt};

/// Deletes them; what is gone already is no error. A claim of somebody else stays, and so do keys that were brought.
///
/// # Errors
/// The API server refuses or doesn't answer: repeat it then.
pub(super) async fn destroy_data(client: &Client, tenant: &VoicemailTenant) -> Result<(), CallError> {
    let (namespace, name) = (tenant.namespace().unwrap_or_default(), tenant.name_any());
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &namespace);
    let claim = within_deadline("read the data claim", claims.get_opt(&child_name(&name))).await?;
    let made = volume_of(tenant).is_some_and(|volume| volume.claim.is_some());
    let ours = |claim: &PersistentVolumeClaim| made && claim.labels().get(TENANT_LABEL) == Some(&name);
    if let Some(claim) = claim.filter(ours) {
        tracing::warn!(namespace, tenant = name, "deleting the data claim, as confirmed");
        delete(&claims, &child_name(&name), claim.uid()).await?;
    }
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    delete(&secrets, &ledger_name(&name), None).await?;
    if tenant.spec.keys.is_some() {
        return Ok(());
    }
    tracing::warn!(namespace, tenant = name, "deleting the keys, as confirmed");
    delete(&secrets, &keys_name(&name), None).await
}

async fn delete<K>(api: &Api<K>, name: &str, uid: Option<String>) -> Result<(), CallError>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let preconditions = uid.map(|uid| Preconditions { uid: Some(uid), ..Default::default() });
    let parameters = DeleteParams { preconditions, ..Default::default() };
    match within_deadline("delete a child", api.delete(name, &parameters)).await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}
