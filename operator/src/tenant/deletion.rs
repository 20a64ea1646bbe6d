//! Deleting a tenant: waits for open data-subject requests, then lets go of the data or keeps it.
//!
//! Flow: [`decide`] is pure; [`finish`] reads what it needs, acts, and removes the finalizer last. Owned
//! children go by garbage collection afterwards. Under `Retain` the claim, the keys and
//! the ledger of erasures stay. Under `Delete`
//! the claim goes first and the keys only with it, and only a claim that the operator made; never before a
//! person has typed the tenant's name into an annotation. Objects in object stores are not removed: Delete is
//! refused for them, in words that say what stays and where.
//!
//! A terminating namespace takes everything anyway, so there the finalizer never holds it up. It is let go as
//! soon as the namespace ends ([`let_go_with_namespace`]), when the pods go: the operator's own rights in that
//! namespace may go at the same time as the tenant, and then nobody could remove the finalizer.

use super::build::names::{child_name, keys_name, ledger_name};
use super::status::write_status;
use super::storage::volume_of;
use crate::api::conditions::{
    DELETION_BLOCKED, Finding, READY, RECONCILING, STALLED, STORAGE_READY, merge_conditions,
};
use crate::api::voicemail_tenant::{DeletionPolicy, Region, StorageKind, VoicemailTenant};
use crate::api::{CONFIRM_DELETION, FINALIZER, GdprRequest, TENANT_LABEL};
use crate::calls::{CallError, within_deadline};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Secret};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

/// What is to be done about a tenant that is being deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Wait, for this reason: (reason, message).
    Wait(&'static str, String),
    /// Let go of the tenant, keep claim and keys.
    Keep,
    /// Delete the claim and then the keys.
    Destroy,
}

/// Decides.
pub fn decide(tenant: &VoicemailTenant, namespace_ends: bool, open: &[String]) -> Decision {
    let (name, namespace) = (tenant.name_any(), tenant.namespace().unwrap_or_default());
    if namespace_ends {
        return Decision::Keep;
    }
    if !open.is_empty() {
        let message = format!("waits for open data-subject requests: {}", open.join(", "));
        return Decision::Wait("OpenGdprRequests", message);
    }
    if tenant.spec.deletion_policy == DeletionPolicy::Retain {
        return Decision::Keep;
    }
    let Some(volume) = volume_of(tenant) else {
        return Decision::Wait("ObjectsNotRemovable", describe_objects(tenant));
    };
    if tenant.annotations().get(CONFIRM_DELETION) != Some(&name) {
        let command = format!("kubectl annotate vmt {name} -n {namespace} {CONFIRM_DELETION}={name}");
        let message =
            format!("deletionPolicy is Delete: to delete all messages and keys for ever, type: {command}");
        return Decision::Wait("ConfirmationMissing", message);
    }
    // Somebody else's claim is never deleted, nor the keys to it.
    if volume.claim.is_some() { Decision::Destroy } else { Decision::Keep }
}

/// What stays, and how to remove it. The CRD's rules keep this from happening to tenants that they have seen.
fn describe_objects(tenant: &VoicemailTenant) -> String {
    let regions = tenant.spec.regions.iter();
    let places: Vec<String> = regions.filter_map(|region| describe_place(tenant, region)).collect();
    let (name, namespace) = (tenant.name_any(), tenant.namespace().unwrap_or_default());
    format!(
        "deletionPolicy is Delete, but the operator can't remove objects from object stores: write Retain to let \
         the tenant go (kubectl patch vmt {name} -n {namespace} --type=merge -p \
         '{{\"spec\":{{\"deletionPolicy\":\"Retain\"}}}}'), then remove {} and the Secrets {} and {} yourself",
        places.join(", "),
        keys_name(&name),
        ledger_name(&name),
    )
}

/// The folder of the tenant in a region's store, and the command that removes it.
fn describe_place(tenant: &VoicemailTenant, region: &Region) -> Option<String> {
    let id = &tenant.spec.tenant_id;
    let below = |prefix: &Option<String>| match prefix {
        Some(prefix) => format!("{prefix}/v1/{id}"),
        None => format!("v1/{id}"),
    };
    match region.storage.kind()? {
        StorageKind::Volume(_) => None,
        StorageKind::S3(s3) => {
            let endpoint =
                s3.endpoint.as_ref().map(|url| format!(" --endpoint-url {url}")).unwrap_or_default();
            let place = format!("{}/{}", s3.bucket, below(&s3.prefix));
            Some(format!("what is below {place} (aws s3 rm --recursive s3://{place}/{endpoint})"))
        }
        StorageKind::AzureBlob(azure) => {
            let (account, container, folder) = (&azure.account, &azure.container, below(&azure.prefix));
            Some(format!(
                "what is below {account}/{container}/{folder} (az storage blob delete-batch --account-name \
                 {account} --source {container} --pattern '{folder}/*')"
            ))
        }
    }
}

/// Does the next step. Returns whether the tenant may go, which it then does.
///
/// # Errors
/// The API server refuses or doesn't answer; the finalizer stays and the step is repeated.
pub async fn finish(client: &Client, tenant: &VoicemailTenant) -> Result<bool, CallError> {
    let namespace = tenant.namespace().unwrap_or_default();
    let ends = namespace_ends(client, &namespace).await?;
    let open = if ends { Vec::new() } else { open_requests(client, &namespace, &tenant.name_any()).await? };
    match decide(tenant, ends, &open) {
        Decision::Wait(reason, message) => {
            report_waiting(client, tenant, reason, &message).await?;
            return Ok(false);
        }
        Decision::Keep => {}
        Decision::Destroy => destroy_data(client, tenant).await?,
    }
    remove_finalizer(client, tenant).await?;
    Ok(true)
}

/// Removes the finalizer of a tenant whose namespace is being deleted. Returns whether it is.
///
/// # Errors
/// The API server refuses or doesn't answer.
pub async fn let_go_with_namespace(client: &Client, tenant: &VoicemailTenant) -> Result<bool, CallError> {
    let ends = namespace_ends(client, &tenant.namespace().unwrap_or_default()).await?;
    if ends && tenant.finalizers().iter().any(|name| name == FINALIZER) {
        remove_finalizer(client, tenant).await?;
    }
    Ok(ends)
}

async fn namespace_ends(client: &Client, name: &str) -> Result<bool, CallError> {
    let api: Api<Namespace> = Api::all(client.clone());
    let namespace = within_deadline("read the namespace", api.get_opt(name)).await?;
    Ok(namespace.is_none_or(|namespace| namespace.metadata.deletion_timestamp.is_some()))
}

async fn open_requests(client: &Client, namespace: &str, tenant: &str) -> Result<Vec<String>, CallError> {
    let api: Api<GdprRequest> = Api::namespaced(client.clone(), namespace);
    let list = within_deadline("list the data-subject requests", api.list(&ListParams::default())).await?;
    let open = |request: &GdprRequest| {
        let phase = request.status.as_ref().map(|status| status.phase).unwrap_or_default();
        request.spec.tenant == tenant && !phase.is_terminal() && request.metadata.deletion_timestamp.is_none()
    };
    Ok(list.items.into_iter().filter(open).map(|request| request.name_any()).take(5).collect())
}

async fn report_waiting(
    client: &Client,
    tenant: &VoicemailTenant,
    reason: &str,
    message: &str,
) -> Result<(), CallError> {
    let mut status = tenant.status.clone().unwrap_or_default();
    let storage = status.conditions.iter().filter(|condition| condition.type_ == STORAGE_READY).cloned();
    let findings = vec![
        Finding::new(READY, false, "Deleting", message),
        Finding::new(RECONCILING, true, "Deleting", message),
        Finding::new(STALLED, false, "NotStalled", ""),
        Finding::new(DELETION_BLOCKED, true, reason, message),
    ];
    let generation = tenant.metadata.generation;
    let mut conditions = merge_conditions(&status.conditions, findings, generation, Timestamp::now());
    conditions.extend(storage);
    status.conditions = conditions;
    status.observed_generation = generation;
    write_status(client, tenant, &status).await?;
    Ok(())
}

async fn destroy_data(client: &Client, tenant: &VoicemailTenant) -> Result<(), CallError> {
    let (namespace, name) = (tenant.namespace().unwrap_or_default(), tenant.name_any());
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &namespace);
    let claim = within_deadline("read the data claim", claims.get_opt(&child_name(&name))).await?;
    if let Some(claim) = claim.filter(|claim| claim.labels().get(TENANT_LABEL) == Some(&name)) {
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

/// Adds the finalizer.
///
/// # Errors
/// A conflict, when somebody changed the tenant meanwhile.
pub async fn add_finalizer(client: &Client, tenant: &VoicemailTenant) -> Result<(), CallError> {
    let mut finalizers = tenant.finalizers().to_vec();
    finalizers.push(FINALIZER.into());
    write_finalizers(client, tenant, finalizers).await
}

async fn remove_finalizer(client: &Client, tenant: &VoicemailTenant) -> Result<(), CallError> {
    let left = tenant.finalizers().iter().filter(|name| *name != FINALIZER).cloned().collect();
    match write_finalizers(client, tenant, left).await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

/// Carries the resource version, so that another controller's finalizer is never lost.
async fn write_finalizers(
    client: &Client,
    tenant: &VoicemailTenant,
    finalizers: Vec<String>,
) -> Result<(), CallError> {
    let api: Api<VoicemailTenant> = Api::namespaced(client.clone(), &tenant.namespace().unwrap_or_default());
    let version = tenant.resource_version();
    let body = json!({"metadata": {"resourceVersion": version, "finalizers": finalizers}});
    let (name, parameters, patch) = (tenant.name_any(), PatchParams::default(), Patch::Merge(&body));
    within_deadline("write the tenant's finalizers", api.patch(&name, &parameters, &patch)).await?;
    Ok(())
}
