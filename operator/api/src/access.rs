//! Who may call a tenant's core, each with roles: service accounts of the cluster, OpenID issuers, opaque tokens, and
//! names with passwords; from which web pages, and how much.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

use super::{SecretName, SecretSource};
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
    /// The introspection endpoint for opaque tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introspection: Option<Introspection>,
    /// Clients that authenticate by name and password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<Basic>,
}

/// The introspection endpoint for opaque tokens (RFC 7662).
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Introspection {
    /// The endpoint.
    #[schemars(length(min = 1, max = 512), regex(pattern = r"^https://"))]
    pub endpoint: String,
    /// Secret with clientId and clientSecret.
    pub secret: SecretName,
    /// Secret with ca.crt, if the endpoint's certificate is of a private CA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretSource>,
    /// The answer's aud must hold this.
    #[schemars(length(min = 1, max = 253))]
    pub audience: String,
    /// Field that names the user.
    #[serde(default = "default_user_claim")]
    #[schemars(length(min = 1, max = 128))]
    pub user_claim: String,
    /// Field that lists roles: a list, or words separated by spaces.
    #[serde(default = "default_scope_claim")]
    #[schemars(length(min = 1, max = 128))]
    pub roles_claim: String,
    /// From the field's values to roles; other values give nothing.
    #[schemars(extend("maxProperties" = 64))]
    pub role_map: BTreeMap<String, LookedUpRole>,
    /// How long a positive answer is used again; at most 60s, which is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = r"^([0-9]{1,7}[dhms]){1,4}$"))]
    pub cache: Option<String>,
}

/// Clients that authenticate by name and password.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Basic {
    /// Secret with the key users: a line USER:HASH:ROLES or USER:HASH:ROLES:ACTS-AS for each, with argon2id or bcrypt
    /// hashes.
    pub secret: SecretName,
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
    /// Claim that lists roles: a list, or words separated by spaces. Dots lead into objects, as in
    /// realm_access.roles.
    #[serde(default = "default_roles_claim")]
    #[schemars(length(min = 1, max = 128))]
    pub roles_claim: String,
    /// From the claim's values to roles; other values give nothing.
    #[schemars(extend("maxProperties" = 64))]
    pub role_map: BTreeMap<String, Role>,
    /// Signatures that are accepted; all that public keys can check when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 9))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub algorithms: Vec<Algorithm>,
    /// How far the issuer's clock and ours may be apart, such as 10s; at most 5m. 30s when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = r"^([0-9]{1,7}[dhms]){1,4}$"))]
    pub clock_skew: Option<String>,
    /// Secret with ca.crt, if the issuer's certificate is of a private CA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretSource>,
}

/// A signature of a token, by its name in RFC 7518.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

fn default_user_claim() -> String {
    "sub".into()
}

fn default_roles_claim() -> String {
    "roles".into()
}

fn default_scope_claim() -> String {
    "scope".into()
}

/// The rights of one service account.
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

/// The audiences that an opaque token opens: not privacy, since nobody signed the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LookedUpRole {
    /// Media servers.
    Telephony,
    /// Own mailboxes and those of own groups.
    Agent,
    /// Provisioning; not listening.
    Admin,
}

/// Web pages that may call the API.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Browser {
    /// Their origins, such as `https://desk.example.com`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 261), regex(pattern = r"^https?://[a-z0-9.:\[\]-]+$")))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub origins: Vec<String>,
}

/// The limits of one client at a pod.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.connectionsPerAddress) || self.connectionsPerAddress <= (has(self.connections) ? self.connections : 4096)")
    .message("connectionsPerAddress: write at most connections, which is 4096 when absent")
)]
pub struct Limits {
    /// Open connections in all; 4096 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 16, max = 65536))]
    pub connections: Option<i32>,
    /// Open connections from one address; half of all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65536))]
    pub connections_per_address: Option<i32>,
    /// Requests a second from one address; 1000 when absent, 0 for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub requests_per_address: Option<i32>,
    /// Requests a second of one caller; 500 when absent, 0 for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub requests_per_caller: Option<i32>,
    /// Refused credentials a minute from one address, after which none is looked at for a while; 60 when absent, 0 for
    /// no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub refusals_per_address: Option<i32>,
    /// Addresses that many clients share, such as an ingress's, or ranges of them such as 10.0.0.0/8: no limit by address
    /// counts for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 49), regex(pattern = r"^[0-9a-f.:]+(/[0-9]{1,3})?$")))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub shared_addresses: Vec<String>,
}

/// The record of who listened, searched, exported and erased.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    /// How long it is kept, such as 90d; 1d to 3650d. 180d when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = r"^([0-9]{1,7}[dhms]){1,4}$"))]
    pub retention: Option<String>,
}
