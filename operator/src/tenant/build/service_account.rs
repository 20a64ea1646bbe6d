//! The pods' service account: no right at all in the cluster beyond what every account has.
//!
//! Where a store trusts the account itself, annotations name the identity: the webhooks of Azure and AWS then
//! give each new pod a projected token and environment variables. Both read them when a pod is made, so what
//! they name is also in the pods' template, by [`pod_annotations`].

use crate::tenant::build::names::{child, child_name};
use crate::tenant::facts::credentials::Source;
use crate::tenant::steps::validate::Plan;
use k8s_openapi::api::core::v1::ServiceAccount;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use voicemail_api::config::{RegionConfig, StorageConfig, TenantConfig};
use voicemail_resources::voicemail_tenant::KeyVault;
use voicemail_runtime::drift::hash;

const AZURE_CLIENT: &str = "azure.workload.identity/client-id";
const AZURE_TENANT: &str = "azure.workload.identity/tenant-id";
const AZURE_USE: &str = "azure.workload.identity/use";
const AWS_ROLE: &str = "eks.amazonaws.com/role-arn";
/// Annotation of the pods' template: another identity or another secret of a vault needs new pods.
const CREDENTIALS_HASH: &str = "voicemail.dev/credentials-hash";
/// Annotation of the pods' template: another address of a store, or another region, needs new pods.
const STORES_HASH: &str = "voicemail.dev/stores-hash";

/// Builds the account. Its token stays mounted: the core reads the issuer's discovery document with it.
pub fn build_service_account(plan: &Plan) -> ServiceAccount {
    let mut metadata = child(plan, child_name(&plan.name));
    let identities = identity_annotations(plan);
    if !identities.is_empty() {
        metadata.annotations.get_or_insert_default().extend(identities);
    }
    ServiceAccount { metadata, ..Default::default() }
}

/// The identities that the regions name.
fn identity_annotations(plan: &Plan) -> BTreeMap<String, String> {
    let mut annotations = BTreeMap::new();
    let mut set = |key: &str, value: &str| annotations.insert(key.to_owned(), value.to_owned());
    for region in plan.storage.regions() {
        match &region.source {
            Source::WorkloadIdentity(identity) => {
                set(AZURE_CLIENT, &identity.client_id);
                identity.tenant_id.iter().for_each(|tenant| drop(set(AZURE_TENANT, tenant)));
            }
            Source::WebIdentity(identity) => drop(set(AWS_ROLE, &identity.role_arn)),
            Source::Secret { .. } | Source::KeyVault { .. } => {}
        }
    }
    annotations
}

/// Labels of the pods that the webhook of Azure asks for.
pub fn pod_labels(plan: &Plan) -> BTreeMap<String, String> {
    let federated = |region: &crate::tenant::facts::credentials::RegionPlan| {
        matches!(region.source, Source::WorkloadIdentity(_))
    };
    let any = plan.storage.regions().iter().any(federated);
    any.then(|| (AZURE_USE.to_owned(), "true".to_owned())).into_iter().collect()
}

/// Annotations of the pods' template: what only new pods take up. The content of Secrets reaches running pods.
pub fn pod_annotations(plan: &Plan) -> Option<BTreeMap<String, String>> {
    let hashes = [(CREDENTIALS_HASH, hash_credentials(plan)), (STORES_HASH, hash_stores(plan))];
    let present = hashes.into_iter().filter_map(|(name, hash)| Some((name.to_owned(), hash?)));
    let annotations: BTreeMap<_, _> = present.collect();
    (!annotations.is_empty()).then_some(annotations)
}

fn hash_credentials(plan: &Plan) -> Option<String> {
    let vaults = plan.storage.regions().iter().filter_map(|region| match &region.source {
        Source::KeyVault { vault, .. } => Some(json!([region.region, describe(vault)])),
        _ => None,
    });
    let (vaults, identities) = (vaults.collect::<Vec<_>>(), identity_annotations(plan));
    let nothing = vaults.is_empty() && identities.is_empty();
    (!nothing).then(|| hash(&json!({"vaults": vaults, "identities": identities})))
}

/// A vault by the names of fields with which its hash was made first: another text would replace every pod.
fn describe(vault: &KeyVault) -> Value {
    let mut fields = json!({ "vaultName": vault.vault_name, "tenantId": vault.tenant_id,
                             "secretName": vault.secret_name, "entry": vault.entry.file() });
    if let Some(client) = &vault.client_id {
        fields["clientId"] = json!(client);
    }
    if let Some(cloud) = vault.cloud {
        fields["cloud"] = json!(cloud);
    }
    fields
}

/// A core opens its stores once. Of a volume's only what stays free can change; pods of those with the usual have no hash,
/// as before there was a choice.
fn hash_stores(plan: &Plan) -> Option<String> {
    let is_usual = |region: &RegionConfig| match &region.storage {
        StorageConfig::Volume { keep_free, .. } => keep_free.is_usual(),
        _ => false,
    };
    let mut stores = json!({"regions": plan.config.regions, "buffer": plan.config.upload_buffer_mib});
    // As it was before there was such a field, so that an upgrade of the operator rolls no pods.
    if plan.config.store_calls != TenantConfig::USUAL_STORE_CALLS {
        stores["calls"] = plan.config.store_calls.into();
    }
    let usual = plan.config.regions.iter().all(is_usual) && stores.get("calls").is_none();
    (!usual).then(|| hash(&stores))
}
