//! Who may call a tenant's core, each with roles: service accounts of the cluster, OpenID issuers, opaque tokens, and
//! names with passwords; from which web pages, and how much.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

use super::references::{CaRef, Reference};
use super::rules::{ORIGIN, forbidden, form, forms, invalid, wait, wait_between};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Token issuers and the accounts that have roles.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// People with identities of several authorities. Where two must have said yes, identities of different authorities are
    /// one person's unless they are here under two.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub people: Vec<Person>,
    /// A signed token that was issued for longer isn't accepted, such as 24h; 5m to 87600h.
    #[serde(default = "default_token_life")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = wait_between("5m", "87600h", "longestTokenLife: write 5m to 87600h"))]
    pub longest_token_life: String,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            issuers: Vec::new(),
            service_accounts: Vec::new(),
            introspection: None,
            basic: None,
            people: Vec::new(),
            longest_token_life: default_token_life(),
        }
    }
}

fn default_token_life() -> String {
    "24h".into()
}

/// Somebody with several identities.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// Tells them from the others of this list, such as p-1042.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// Their names.
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["authority".into(), "name".into()]))]
    pub identities: Vec<Identity>,
}

/// A name at an authority.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// An issuer, the introspection endpoint, basic, serviceAccounts, or objects for names of the API server in GdprRequests.
    #[schemars(length(min = 1, max = 512))]
    pub authority: String,
    /// The sub of their tokens; else their user name.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
}

/// The introspection endpoint for opaque tokens (RFC 7662).
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Introspection {
    /// The endpoint, such as `https://id.example.com/introspect`.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = form("https://.+", "endpoint: write a URL that begins with https://"))]
    pub endpoint: String,
    /// Secret with clientId and clientSecret.
    pub secret_ref: Reference,
    /// The authority of the endpoint's certificate, if it is a private one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_ref: Option<CaRef>,
    /// The answer's aud must hold this.
    #[schemars(length(min = 1, max = 253))]
    pub audience: String,
    /// Field that names the user.
    #[serde(default = "default_user_claim")]
    #[schemars(length(min = 1, max = 128))]
    pub user_claim: String,
    /// Stands before the field in a user's name; when absent beside issuers, the endpoint and #. The same prefix at two makes
    /// their users one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub user_prefix: Option<String>,
    /// Field that lists roles: a list, or words separated by spaces.
    #[serde(default = "default_scope_claim")]
    #[schemars(length(min = 1, max = 128))]
    pub roles_claim: String,
    /// From the field's values to roles; other values give nothing.
    #[schemars(extend("maxProperties" = 64))]
    pub role_map: BTreeMap<String, LookedUpRole>,
    /// How long a positive answer is used again, such as 30s; at most 60s.
    #[serde(default = "default_cache")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = wait("60s", "cache: write at most 60s: a token that is taken back must not open anything for longer"))]
    pub cache: String,
}

/// Clients that authenticate by name and password.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Basic {
    /// Secret with the key users: a line USER:HASH:ROLES or USER:HASH:ROLES:ACTS-AS for each, with argon2id or bcrypt
    /// hashes.
    pub secret_ref: Reference,
}

/// An OpenID issuer whose tokens are accepted.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Issuer {
    /// The iss claim, such as `https://id.example.com`; discovery starts there unless jwksURI is given.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = form("https://.+", "issuer: write a URL that begins with https://"))]
    pub issuer: String,
    /// The aud claim must hold this.
    #[schemars(length(min = 1, max = 253))]
    pub audience: String,
    /// Key set; found by discovery when absent.
    #[serde(rename = "jwksURI", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = form("https://.+", "jwksURI: write a URL that begins with https://"))]
    pub jwks_uri: Option<String>,
    /// Claim that names the user.
    #[serde(default = "default_user_claim")]
    #[schemars(length(min = 1, max = 128))]
    pub user_claim: String,
    /// Stands before the claim in a user's name; when absent and there are several issuers, the issuer and #. The same prefix at
    /// two makes their users one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub user_prefix: Option<String>,
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
    /// How far the issuer's clock and ours may be apart, such as 10s; at most 5m.
    #[serde(default = "default_skew")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = wait("5m", "clockSkew: write at most 5m, such as 30s"))]
    pub clock_skew: String,
    /// The authority of the issuer's certificate, if it is a private one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_ref: Option<CaRef>,
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

fn default_skew() -> String {
    "30s".into()
}

fn default_cache() -> String {
    "60s".into()
}

fn default_scope_claim() -> String {
    "scope".into()
}

/// The rights of one service account.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = forbidden(
        "!has(self.user) || self.roles.exists(r, r == 'Agent')",
        "user: only an account with the role Agent acts as a user"
    ).field_path(".user")
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
#[serde(rename_all = "camelCase")]
pub struct Cors {
    /// Their origins, such as `https://desk.example.com`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 261)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = forms(
            ORIGIN,
            "allowedOrigins: write scheme, host and port as a browser sends them, such as https://desk.example.com"
        )
    )]
    pub allowed_origins: Vec<String>,
}

/// The limits of one client at a pod.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = invalid(
        "!has(self.connectionsPerAddress) || self.connectionsPerAddress <= self.connections",
        "connectionsPerAddress: write at most connections"
    ).field_path(".connectionsPerAddress")
)]
pub struct ClientLimits {
    /// Open connections in all.
    #[serde(default = "default_connections")]
    #[schemars(range(min = 16, max = 65536))]
    pub connections: i32,
    /// Open connections from one address; half of all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65536))]
    pub connections_per_address: Option<i32>,
    /// Requests a second from one address; 0 for no limit.
    #[serde(default = "default_requests_per_address")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub requests_per_address: i32,
    /// Requests a second of one caller; 0 for no limit.
    #[serde(default = "default_requests_per_caller")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub requests_per_caller: i32,
    /// The same of one caller with the role Telephony, such as the telephone's pods; 0 for no limit.
    #[serde(default = "default_requests_per_telephony")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub requests_per_telephony: i32,
    /// Refused credentials a minute from one address, after which none is looked at for a while; 0 for no limit.
    #[serde(default = "default_refusals")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub refusals_per_address: i32,
    /// Event streams that one user holds at a pod.
    #[serde(default = "default_streams")]
    #[schemars(range(min = 1, max = 10_000))]
    pub streams_per_user: i32,
    /// Addresses that many clients share, such as an ingress's, or ranges such as 10.0.0.0/8: no limit by address counts
    /// for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 49)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = invalid(
            "self.all(text, isIP(text) || isCIDR(text))",
            "sharedAddresses: write addresses or ranges of them, such as 10.0.0.0/8"
        )
    )]
    pub shared_addresses: Vec<String>,
}

fn default_connections() -> i32 {
    4096
}

fn default_requests_per_address() -> i32 {
    1000
}

fn default_requests_per_caller() -> i32 {
    500
}

fn default_streams() -> i32 {
    32
}

fn default_requests_per_telephony() -> i32 {
    2000
}

fn default_refusals() -> i32 {
    60
}

/// The record of who listened, searched, exported and erased.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Audit {
    /// Days for which it is kept, such as 90.
    #[serde(default = "default_audit_days")]
    #[schemars(range(min = 1, max = 3650))]
    pub retention_days: i32,
}

impl Default for Audit {
    fn default() -> Self {
        Self { retention_days: default_audit_days() }
    }
}

fn default_audit_days() -> i32 {
    180
}
