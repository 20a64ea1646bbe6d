//! The telephone side of a tenant: trunks that may call, ports, and where recordings wait for the core.
//!
//! Absent means that there is none, and nothing of it costs anything. Only what the program `voicemail-sip` does is here.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

mod notify;
mod prompts;
mod trunk;

pub use notify::{MailboxRange, TrunkNotify};
pub use prompts::OwnPrompts;
pub use trunk::{
    ClientCertificates, DigestAlgorithm, Trunk, TrunkDigest, TrunkLimits, TrunkNumber, TrunkTransport, Trust,
};

use super::pod_template::PodTemplate;
use super::pods::Resources;
use super::quantity::Amount;
use super::references::{CaRef, Reference};
use super::rules::{amount, forbidden, form, forms, invalid};
use super::schema;
use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Callers leave messages, owners dial in, and desk phones show that messages wait (MWI).
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = invalid(
        "!has(self.network.advertised) || self.network.advertised.addresses.size() >= self.replicas",
        "addresses: write one for each of spec.telephony.replicas"
    ).field_path(".network.advertised.addresses"),
    validation = invalid(
        "self.trunks.all(t, t.limits.calls * 2 <= self.network.ports.rtp.to - self.network.ports.rtp.from + 1)",
        "limits.calls: write at most half of the ports in spec.telephony.network.ports.rtp, since a call takes two"
    ).field_path(".trunks"),
    validation = invalid(
        "self.trunks.filter(t, t.addresses.size() == 0 && !has(t.clientCertificates)).size() <= 1",
        "trunks: write addresses for all but one of those with digest"
    ).field_path(".trunks"),
    validation = invalid(
        "has(self.tls) || !self.trunks.exists(t, 'TLS' in t.transports)",
        "trunks: a trunk with the transport TLS needs spec.telephony.tls"
    ).field_path(".trunks"),
    validation = invalid(
        "!self.trunks.exists(t, has(t.notify) && t.notify.transport == 'TLS') || (has(self.tls) && has(self.tls.peerCARef))",
        "notify: the transport TLS needs spec.telephony.tls.peerCARef, the authority of the proxy's certificate"
    ).field_path(".trunks"),
    validation = invalid(
        "!has(self.tls) || [has(self.network.ports.tls) ? self.network.ports.tls : 5061].all(p, p != 9090 && \
        p != self.network.ports.sip && (p < self.network.ports.rtp.from || p > self.network.ports.rtp.to))",
        "tls: write a port that is neither sip nor in rtp, and not 9090, which metrics have"
    ).field_path(".network.ports")
)]
pub struct Telephony {
    /// Pods that take calls.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = 0, max = 20))]
    pub replicas: i32,
    /// Host behind a mailbox's name in the account that phones are told, such as pbx.example.com.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = form(
        "[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?",
        "domain: write a host's name or an address, such as pbx.example.com"
    ))]
    pub domain: String,
    /// Numbers that owners dial to work with their mailboxes.
    #[serde(default = "default_access_numbers")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 32)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = forms(r"\+?[0-9*#]+", "accessNumbers: write numbers as they are dialled, such as 5555")
    )]
    pub access_numbers: Vec<String>,
    /// Ports and addresses.
    #[serde(default)]
    pub network: TelephonyNetwork,
    /// The certificate for trunks with the transport TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TelephonyTls>,
    /// Who may call.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub trunks: Vec<Trunk>,
    /// How people are talked with.
    #[serde(default)]
    pub dialogue: Dialogue,
    /// Recordings on their way to the core.
    #[serde(default)]
    pub spool: Spool,
    /// How long calls may go on in a pod that is to stop, such as 10m; without it the longest message and four minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 24))]
    #[x_kube(validation = span("1m", "2h", "drain: write 1m to 2h, such as 10m"))]
    pub drain: Option<String>,
    /// Who may send audio, where the cluster enforces NetworkPolicies; everybody when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::peers")]
    pub media_from: Vec<NetworkPolicyPeer>,
    /// CPU and memory of each pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Parts of the pods' template beside the operator's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,
}

fn default_replicas() -> i32 {
    2
}

fn default_access_numbers() -> Vec<String> {
    vec!["5555".into()]
}

/// A waiting time within bounds.
fn span(least: &str, most: &str, message: &str) -> kube::core::Rule {
    let form = crate::waiting::FORM;
    let bounds = format!("duration(self) >= duration('{least}') && duration(self) <= duration('{most}')");
    invalid(&format!("self.matches('{form}') && {bounds}"), message)
}

/// SIP over TLS. Changes of these objects are used within minutes, without new pods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TelephonyTls {
    /// A Secret with tls.crt and tls.key, for the names by which trunks reach the pods.
    pub secret_ref: Reference,
    /// The authority of trunks' certificates, by which a connection to a trunk is opened: for notify, and again when a call's
    /// own is gone; without it that isn't done.
    #[serde(rename = "peerCARef", default, skip_serializing_if = "Option::is_none")]
    pub peer_ca_ref: Option<CaRef>,
}

/// Ports and addresses of the pods.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TelephonyNetwork {
    /// Ports that the pods listen on.
    #[serde(default)]
    pub ports: TelephonyPorts,
    /// Addresses at which trunks reach the pods from outside, told in Contact, Via and SDP; the pods' own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advertised: Option<Advertised>,
}

/// Addresses by which the pods are reached.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Advertised {
    /// One for each pod, in the order of their numbers, such as 192.0.2.10.
    #[schemars(length(min = 1, max = 20), inner(length(min = 1, max = 39)), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(validation = invalid(
        "self.all(address, isIP(address))",
        "addresses: write addresses, such as 192.0.2.10"
    ))]
    pub addresses: Vec<String>,
}

/// Ports that the pods listen on.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    validation = invalid(
        "self.sip != 9090 && (self.sip < self.rtp.from || self.sip > self.rtp.to)",
        "sip: write a port outside of rtp, and not 9090, which metrics have"
    ).field_path(".sip")
)]
pub struct TelephonyPorts {
    /// SIP over UDP and TCP.
    #[serde(default = "default_sip")]
    #[schemars(range(min = 1_024, max = 65_535))]
    pub sip: i32,
    /// SIP over TLS; 5061 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1_024, max = 65_535))]
    pub tls: Option<i32>,
    /// Audio, over UDP.
    #[serde(default)]
    pub rtp: PortBlock,
}

impl Default for TelephonyPorts {
    fn default() -> Self {
        Self { sip: default_sip(), tls: None, rtp: PortBlock::default() }
    }
}

impl TelephonyPorts {
    /// The port of SIP over TLS.
    pub fn tls(&self) -> i32 {
        self.tls.unwrap_or(5_061)
    }
}

fn default_sip() -> i32 {
    5_060
}

/// Ports of audio: two a call, an even one and the next.
#[derive(KubeSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    validation = invalid(
        "self.from % 2 == 0 && self.to % 2 == 1 && self.from < self.to",
        "rtp: write an even first port and an odd last one, such as 20000 and 20999"
    ),
    validation = invalid(
        "(self.to < 30000 || self.from > 32767) && (self.to < 9090 || self.from > 9090)",
        "rtp: write ports without 30000 to 32767, which nodes give to Services, and without 9090, which metrics have"
    )
)]
pub struct PortBlock {
    /// The first.
    #[serde(default = "default_from")]
    #[schemars(range(min = 1_024, max = 65_534))]
    pub from: i32,
    /// The last.
    #[serde(default = "default_to")]
    #[schemars(range(min = 1_025, max = 65_535))]
    pub to: i32,
}

impl Default for PortBlock {
    fn default() -> Self {
        Self { from: default_from(), to: default_to() }
    }
}

fn default_from() -> i32 {
    20_000
}

fn default_to() -> i32 {
    20_999
}

/// How people are talked with.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialogue {
    /// After so long without a key a menu is said again, such as 8s.
    #[serde(default = "default_silence")]
    #[schemars(length(max = 24))]
    #[x_kube(validation = span("2s", "1m", "silence: write 2s to 1m, such as 5s"))]
    pub silence: String,
    /// Prompts of the tenant's own, in place of the built-in English ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompts: Option<OwnPrompts>,
}

impl Default for Dialogue {
    fn default() -> Self {
        Self { silence: default_silence(), prompts: None }
    }
}

fn default_silence() -> String {
    "5s".into()
}

/// Recordings on their way to the core, sealed on a disk of each pod.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = forbidden(
        "has(self.claim) == has(oldSelf.claim)",
        "claim can't be added or removed: take spec.telephony away first, and wait until its pods are gone"
    ).field_path(".claim"),
    validation = forbidden(
        "!has(self.claim) || self.size == oldSelf.size",
        "size can't be changed where the pods have claims: take spec.telephony away first, and wait until its pods are gone"
    ).field_path(".size")
)]
pub struct Spool {
    /// The most that may wait in a pod, such as 4Gi; at nine tenths of it new callers are turned away.
    #[serde(default = "default_size")]
    #[x_kube(validation = amount("64Mi", "1Ti", "size: write 64Mi to 1Ti, such as 1Gi"))]
    pub size: Amount,
    /// After so long a recording that the core never accepted is destroyed, such as 48h.
    #[serde(default = "default_max_age")]
    #[schemars(length(max = 24))]
    #[x_kube(validation = span("1h", "120h", "maxAge: write 1h to 120h, such as 24h"))]
    pub max_age: String,
    /// A volume for each pod, which outlives its node; without it a recording that the core hasn't got goes with the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<SpoolClaim>,
}

impl Default for Spool {
    fn default() -> Self {
        Self { size: default_size(), max_age: default_max_age(), claim: None }
    }
}

fn default_size() -> Amount {
    Amount::of_mebibytes(1_024)
}

fn default_max_age() -> String {
    "24h".into()
}

/// Claims of the pods' volumes. They stay when pods or spec.telephony go, with what may wait in them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpoolClaim {
    /// Storage class, such as fast.
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: String,
}
