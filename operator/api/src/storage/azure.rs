//! A container of an Azure storage account, and the kinds of credentials for it.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

use crate::SecretName;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A container, or a folder of one.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.account == oldSelf.account")
    .message("azureBlob.account can't be changed: the messages are in that account"),
    validation = Rule::new("self.container == oldSelf.container")
    .message("azureBlob.container can't be changed: the messages are in that container"),
    validation = Rule::new(
    "has(self.prefix) == has(oldSelf.prefix) && (!has(self.prefix) || self.prefix == oldSelf.prefix)")
    .message("azureBlob.prefix can't be changed: the messages are in that folder")
)]
pub struct AzureBlob {
    /// Storage account.
    #[schemars(length(min = 3, max = 24), regex(pattern = r"^[a-z0-9]{3,24}$"))]
    pub account: String,
    /// Container.
    #[schemars(length(min = 3, max = 63), regex(pattern = r"^[a-z0-9](-?[a-z0-9])*$"))]
    pub container: String,
    /// Folder in the container, such as voicemail/acme; the container's root when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[\w-][\w.-]*(/[\w-][\w.-]*)*$"))]
    pub prefix: Option<String>,
    /// Blob endpoint of a sovereign cloud, a private link or an emulator; Azure's public one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), regex(pattern = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"))]
    pub endpoint: Option<String>,
    /// How requests are signed; may change at any time.
    pub credentials: AzureCredentials,
}

/// Exactly one kind of credentials.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
    "[has(self.secret), has(self.keyVault), has(self.workloadIdentity)].filter(given, given).size() == 1")
    .message("azureBlob.credentials: write exactly one of secret, keyVault and workloadIdentity")
)]
pub struct AzureCredentials {
    /// Secret with accountKey or sasToken, and perhaps ca.crt for a private CA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretName>,
    /// A secret of Azure Key Vault, mounted by the Secrets Store CSI driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_vault: Option<KeyVault>,
    /// The pods' own federated identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_identity: Option<WorkloadIdentity>,
}

/// A secret of Azure Key Vault.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyVault {
    /// Name of the vault.
    #[schemars(length(max = 24), regex(pattern = r"^[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]$"))]
    pub vault_name: String,
    /// The vault's tenant in Microsoft Entra.
    #[schemars(length(max = 36), regex(pattern = r"^[0-9A-Fa-f-]{36}$"))]
    pub tenant_id: String,
    /// Client id of the identity that may read the vault, federated with the tenant's service account; without
    /// it the node's own managed identity reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36), regex(pattern = r"^[0-9A-Fa-f-]{36}$"))]
    pub client_id: Option<String>,
    /// Name of the secret in the vault.
    #[schemars(length(min = 1, max = 127), regex(pattern = r"^[A-Za-z0-9-]+$"))]
    pub secret_name: String,
    /// Kind of credential that the secret holds.
    #[serde(default)]
    pub entry: KeyVaultEntry,
    /// The cloud that the vault is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<AzureCloud>,
}

/// Kind of credential that a secret of a vault holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum KeyVaultEntry {
    /// A key of the storage account.
    #[default]
    AccountKey,
    /// A shared access signature.
    SasToken,
}

impl KeyVaultEntry {
    /// Name of the file that the core reads it from.
    pub fn file(self) -> &'static str {
        match self {
            Self::AccountKey => "accountKey",
            Self::SasToken => "sasToken",
        }
    }
}

/// A cloud of Azure, as the Key Vault provider names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AzureCloud {
    /// The public one.
    AzurePublicCloud,
    /// The cloud of the United States' government.
    AzureUSGovernmentCloud,
    /// The cloud in China.
    AzureChinaCloud,
}

/// A federated identity. All regions of a tenant that use one must name the same.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadIdentity {
    /// Client id of the managed identity or application.
    #[schemars(length(max = 36), regex(pattern = r"^[0-9A-Fa-f-]{36}$"))]
    pub client_id: String,
    /// Its tenant in Microsoft Entra; the webhook's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36), regex(pattern = r"^[0-9A-Fa-f-]{36}$"))]
    pub tenant_id: Option<String>,
}
