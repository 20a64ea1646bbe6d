//! Who may call a tenant's core: service accounts of the cluster and OpenID issuers, each with roles.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Token issuers and the accounts that have roles.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// OpenID issuers beside the cluster's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["issuer".into(), "audience".into()]))]
    pub issuers: Vec<Issuer>,
    /// Service accounts of this cluster that may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["namespace".into(), "name".into()]))]
    pub service_accounts: Vec<ServiceAccount>,
}

/// An OpenID issuer whose tokens are accepted.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Issuer {
    /// The iss claim; discovery starts there unless jwksUri is given.
    #[schemars(length(min = 1, max = 512), regex(pattern = r"^https://"))]
    pub issuer: String,
    /// The aud claim must hold this.
    #[schemars(length(min = 1, max = 253))]
    pub audience: String,
    /// Key set; found by discovery when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), regex(pattern = r"^https://"))]
    pub jwks_uri: Option<String>,
    /// Claim that names the user.
    #[serde(default = "default_user_claim")]
    #[schemars(length(min = 1, max = 128))]
    pub user_claim: String,
    /// Claim that lists roles.
    #[serde(default = "default_roles_claim")]
    #[schemars(length(min = 1, max = 128))]
    pub roles_claim: String,
    /// From the claim's values to roles; other values give nothing.
    #[schemars(extend("maxProperties" = 64))]
    pub role_map: BTreeMap<String, Role>,
}

fn default_user_claim() -> String {
    "sub".into()
}

fn default_roles_claim() -> String {
    "roles".into()
}

/// What one service account may do.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.user) || self.roles.exists(r, r == 'agent')")
    .message("user: only an account with the role agent acts as a user")
)]
pub struct ServiceAccount {
    /// Namespace of the account.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// Name of the account.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its roles.
    #[schemars(length(min = 1, max = 4))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub roles: Vec<Role>,
    /// The user that an agent's account acts as; without it, the account's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub user: Option<String>,
}

/// The four audiences of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Media servers.
    Telephony,
    /// Own mailboxes and those of own groups.
    Agent,
    /// Provisioning; not listening.
    Admin,
    /// Data-subject rights.
    Privacy,
}
