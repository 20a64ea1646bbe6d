//! Access to the API beside JWT issuers: passwords, web origins, limits, and how long the audit log is kept.

use super::{AddressRange, Role, duration};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where opaque tokens are looked up (RFC 7662). They never give the role `privacy`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IntrospectionConfig {
    /// `https://` URL of the endpoint.
    pub endpoint: String,
    /// File with the client id that we identify ourselves by; re-read at every use.
    pub client_id_file: PathBuf,
    /// File with the client's secret; re-read at every use.
    pub client_secret_file: PathBuf,
    /// PEM file of a private CA; the system's when absent. Re-read at every use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The answer's `aud` must hold this.
    pub audience: String,
    /// Field that names the user.
    #[serde(default = "default_user_claim")]
    pub user_claim: String,
    /// Stands before the field in the user's name, as at an issuer; when absent beside issuers, the endpoint and `#`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_prefix: Option<String>,
    /// Field that lists roles: a list, or words separated by spaces.
    #[serde(default = "default_scope_claim")]
    pub roles_claim: String,
    /// From the field's values to our roles; a value that isn't here gives nothing.
    pub role_map: BTreeMap<String, Role>,
    /// How long a positive answer is used again, 0 s to 60 s, and never past its `exp`.
    #[serde(default = "default_introspection_cache", with = "duration")]
    pub cache: Duration,
}

fn default_user_claim() -> String {
    "sub".into()
}

fn default_scope_claim() -> String {
    "scope".into()
}

fn default_introspection_cache() -> Duration {
    Duration::from_secs(60)
}

/// Callers with name and password.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BasicConfig {
    /// File with a line `USER:HASH:ROLES[:ACTS-AS]` for each user; re-read when it changes.
    pub users_file: PathBuf,
}

/// Limits of one client's use of a replica.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Open connections in all, 16 to 65536.
    pub connections: u32,
    /// Open connections from one address, 1 to `connections`.
    pub connections_per_address: u32,
    /// How long a client may take to send a request's header, 1 s to 5 m. Takes a restart.
    #[serde(with = "duration")]
    pub header_time: Duration,
    /// Requests a second from one address before anybody is asked who it is, 0 for no limit.
    pub requests_per_address: u32,
    /// Requests a second of one caller, 0 for no limit.
    pub requests_per_caller: u32,
    /// The same of one caller with the role `telephony`, such as the telephone's pods, which call for all who call them.
    #[serde(skip_serializing_if = "is_usual_for_telephony")]
    pub requests_per_telephony: u32,
    /// Requests a minute from one address whose credentials are refused; then none is looked at for a while.
    /// 0 for no limit.
    pub refusals_per_address: u32,
    /// Event streams that one user holds at a replica, 1 to 10000.
    #[serde(skip_serializing_if = "is_usual_number_of_streams")]
    pub streams_per_user: u32,
    /// Addresses that many clients share, such as an ingress's, or ranges of them: no limit by address counts for them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub shared_addresses: BTreeSet<AddressRange>,
}

/// A person's devices and pages, and those that were left behind without a word.
const USUAL_STREAMS: u32 = 32;

/// Cores of before can read what says nothing of it.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_usual_number_of_streams(streams: &u32) -> bool {
    *streams == USUAL_STREAMS
}

/// Three requests a call, at 300 calls a second and twice that.
const TELEPHONY_REQUESTS: u32 = 2_000;

/// A core of a release before there was that limit reads a configuration without it.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_usual_for_telephony(count: &u32) -> bool {
    *count == TELEPHONY_REQUESTS
}

impl LimitsConfig {
    /// Whether many clients share this address.
    pub fn is_shared(&self, address: IpAddr) -> bool {
        self.shared_addresses.iter().any(|range| range.contains(address))
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            connections: 4_096,
            connections_per_address: 2_048,
            header_time: Duration::from_secs(20),
            requests_per_address: 1_000,
            requests_per_caller: 500,
            requests_per_telephony: TELEPHONY_REQUESTS,
            refusals_per_address: 60,
            streams_per_user: USUAL_STREAMS,
            shared_addresses: BTreeSet::new(),
        }
    }
}

/// The record of who listened, searched, exported and erased.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuditConfig {
    /// How long it is kept, 1 d to 3650 d.
    #[serde(default = "default_audit_retention", with = "duration")]
    pub retention: Duration,
}

fn default_audit_retention() -> Duration {
    Duration::from_secs(180 * 86_400)
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { retention: default_audit_retention() }
    }
}
