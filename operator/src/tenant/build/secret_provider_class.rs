//! The SecretProviderClass of a region whose credentials are in Azure Key Vault.
//!
//! The Secrets Store CSI driver reads it when kubelet mounts the volume that names it, and writes the vault's
//! secret into the file that the core reads. The kind is the driver's own and may not exist in a cluster, so
//! there is no Rust type for it here.

use crate::tenant::build::names::child;
use crate::tenant::steps::validate::Plan;
use kube::api::DynamicObject;
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Map, Value, json};
use voicemail_resources::voicemail_tenant::{AzureCloud, KeyVault};

/// Name of the driver that mounts it.
pub const DRIVER: &str = "secrets-store.csi.k8s.io";

/// The kind.
pub fn provider_class_resource() -> ApiResource {
    let kind = GroupVersionKind::gvk("secrets-store.csi.x-k8s.io", "v1", "SecretProviderClass");
    ApiResource::from_gvk_with_plural(&kind, "secretproviderclasses")
}

/// Builds one.
pub fn build_provider_class(plan: &Plan, name: &str, vault: &KeyVault) -> DynamicObject {
    let mut class = DynamicObject::new(name, &provider_class_resource());
    class.metadata = child(plan, name.to_owned());
    class.data = json!({"spec": {"provider": "azure", "parameters": build_parameters(vault)}});
    class
}

/// Parameters of the Azure provider, all of them strings.
fn build_parameters(vault: &KeyVault) -> Value {
    let mut parameters = Map::from_iter([
        ("keyvaultName".to_owned(), json!(vault.vault_name)),
        ("tenantId".to_owned(), json!(vault.tenant_id)),
        ("usePodIdentity".to_owned(), json!("false")),
        ("objects".to_owned(), json!(build_objects(vault))),
    ]);
    match &vault.client_id {
        Some(client) => parameters.insert("clientID".to_owned(), json!(client)),
        None => parameters.insert("useVMManagedIdentity".to_owned(), json!("true")),
    };
    if let Some(cloud) = vault.cloud {
        parameters.insert("cloudName".to_owned(), json!(cloud_name(cloud)));
    }
    Value::Object(parameters)
}

/// A list in YAML whose items are again texts of YAML. Names of secrets hold nothing that YAML would quote.
fn build_objects(vault: &KeyVault) -> String {
    let (name, file) = (&vault.secret_name, vault.entry.file());
    format!("array:\n- |\n  objectName: \"{name}\"\n  objectType: secret\n  objectAlias: {file}\n")
}

fn cloud_name(cloud: AzureCloud) -> &'static str {
    match cloud {
        AzureCloud::AzurePublicCloud => "AzurePublicCloud",
        AzureCloud::AzureUSGovernmentCloud => "AzureUSGovernmentCloud",
        AzureCloud::AzureChinaCloud => "AzureChinaCloud",
    }
}
