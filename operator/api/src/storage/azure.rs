//! A container of an Azure storage account, and the kinds of credentials for it.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

use crate::references::Reference;
use crate::rules::{form, required};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const ID: &str = "[0-9A-Fa-f-]*";

/// A container, or a folder of one.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AzureBlob {
    /// Storage account.
    #[schemars(length(min = 3, max = 24))]
    #[x_kube(validation = form("[a-z0-9]*", "account: write lower-case letters and digits, such as acmevoice"))]
    pub account: String,
    /// Container.
    #[schemars(length(min = 3, max = 63))]
    #[x_kube(validation = form("[a-z0-9](-?[a-z0-9])*", "container: write lower-case letters, digits and single dashes, such as voicemail"))]
    pub container: String,
    /// Folder in the container, such as voicemail/acme; the container's root when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = form(crate::storage::FOLDER, "prefix: write names of folders with slashes between them, such as voicemail/acme"))]
    pub prefix: Option<String>,
    /// Blob endpoint of a sovereign cloud, a private link or an emulator; Azure's public one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = form(crate::storage::ENDPOINT, "endpoint: write a URL without a query, such as https://store.example.com"))]
    pub endpoint: Option<String>,
    /// How requests are signed; may change at any time.
    pub credentials: AzureCredentials,
    /// The key that every write asks for; the account's when absent. What is there stays as it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<AzureEncryption>,
    /// Moves an archived recording back that somebody wants to hear, which takes hours; it is told, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_archived: Option<AzureRestoration>,
}

/// Exactly one of scope and customerKeySecretRef.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = required(
        "has(self.scope) != has(self.customerKeySecretRef)",
        "encryption: write exactly one of scope and customerKeySecretRef"
    )
)]
pub struct AzureEncryption {
    /// An encryption scope of the account, for every write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 63))]
    #[x_kube(validation = form("[A-Za-z0-9-]+", "scope: write letters, digits and dashes"))]
    pub scope: Option<String>,
    /// Secret with the key customerKey: 32 bytes in base64, for every write and read. What was written by another key can't be
    /// read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_key_secret_ref: Option<Reference>,
}

/// To which tier what was archived is moved back.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AzureRestoration {
    /// A tier that is read at once.
    pub tier: AzureTier,
}

/// A tier that is read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AzureTier {
    /// For what is read often.
    Hot,
    /// For what is read seldom.
    Cool,
    /// For what is read hardly ever.
    Cold,
}

/// Exactly one kind of credentials.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = required(
        "[has(self.secretRef), has(self.keyVault), has(self.workloadIdentity)].exists_one(given, given)",
        "credentials: write exactly one of secretRef, keyVault and workloadIdentity"
    )
)]
pub struct AzureCredentials {
    /// Secret with accountKey or sasToken, and perhaps ca.crt for a private CA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<Reference>,
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
    #[schemars(length(min = 3, max = 24))]
    #[x_kube(validation = form("[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]", "vaultName: write letters, digits and dashes, beginning with a letter, such as acme-vault"))]
    pub vault_name: String,
    /// The vault's tenant in Microsoft Entra.
    #[serde(rename = "tenantID")]
    #[schemars(length(min = 36, max = 36))]
    #[x_kube(validation = form(ID, "tenantID: write an id of 36 hexadecimal digits and dashes"))]
    pub tenant_id: String,
    /// Client id of the identity that may read the vault, federated with the tenant's service account; without
    /// it the node's own managed identity reads.
    #[serde(rename = "clientID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 36, max = 36))]
    #[x_kube(validation = form(ID, "clientID: write an id of 36 hexadecimal digits and dashes"))]
    pub client_id: Option<String>,
    /// Name of the secret in the vault.
    #[schemars(length(min = 1, max = 127))]
    #[x_kube(validation = form("[A-Za-z0-9-]*", "secretName: write letters, digits and dashes"))]
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
pub enum KeyVaultEntry {
    /// A key of the storage account.
    #[default]
    AccountKey,
    /// A shared access signature.
    #[serde(rename = "SASToken")]
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
    #[serde(rename = "clientID")]
    #[schemars(length(min = 36, max = 36))]
    #[x_kube(validation = form(ID, "clientID: write an id of 36 hexadecimal digits and dashes"))]
    pub client_id: String,
    /// Its tenant in Microsoft Entra; the webhook's default when absent.
    #[serde(rename = "tenantID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 36, max = 36))]
    #[x_kube(validation = form(ID, "tenantID: write an id of 36 hexadecimal digits and dashes"))]
    pub tenant_id: Option<String>,
}
