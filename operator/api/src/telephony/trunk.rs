//! A trunk: a PBX, an SBC or a proxy that may call.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

use super::notify::{PROXY, TrunkNotify};
use crate::references::{CaRef, Reference};
use crate::rules::{form, forms, invalid};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A PBX, an SBC or a proxy that may call.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = invalid(
        "self.addresses.size() > 0 || has(self.clientCertificates) || has(self.digest)",
        "addresses: write the ranges that the trunk calls from, or clientCertificates, or digest"
    ).field_path(".addresses"),
    validation = invalid(
        "!has(self.clientCertificates) || self.transports == ['TLS']",
        "transports: write TLS alone for a trunk with clientCertificates"
    ).field_path(".transports"),
    validation = invalid(
        "!has(self.notify) || self.notify.transport in self.transports",
        "notify: write one of the trunk's transports"
    ).field_path(".notify"),
    validation = invalid(
        "!has(self.notify) || has(self.notify.proxy) || has(self.outboundProxy)",
        "notify: write a proxy, or the trunk's outboundProxy"
    ).field_path(".notify")
)]
pub struct Trunk {
    /// Name in metrics and logs, such as pbx.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = form("[a-z0-9]([-a-z0-9]*[a-z0-9])?", "name: write small letters, digits and dashes, such as pbx"))]
    pub name: String,
    /// Networks that its requests come from, such as 192.0.2.0/24; others get no answer. Everywhere when empty, for a trunk
    /// with clientCertificates or digest.
    #[serde(default)]
    #[schemars(length(max = 32), inner(length(min = 1, max = 43)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = invalid(
            "self.all(range, isCIDR(range))",
            "addresses: write ranges of addresses, such as 192.0.2.0/24"
        )
    )]
    pub addresses: Vec<String>,
    /// Transports by which its requests come: UDP, TCP or TLS.
    #[serde(default = "default_transports")]
    #[schemars(length(min = 1, max = 3))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub transports: Vec<TrunkTransport>,
    /// Certificates by which it is known, over TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificates: Option<ClientCertificates>,
    /// Its calls and subscriptions must name a user and prove the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<TrunkDigest>,
    /// Headers of the trunk's requests that are believed.
    #[serde(default)]
    pub trust: Trust,
    /// From a number to a mailbox's name: the first that fits applies; the number itself where none does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub numbers: Vec<TrunkNumber>,
    /// Its phones may watch every mailbox, not their own alone.
    #[serde(default)]
    pub sees_all_mailboxes: bool,
    /// Where BYE and NOTIFY go if Record-Route named no route, such as sbc.example.com:5060; notify without a proxy goes there, too. Over
    /// UDP it must answer from the trunk's addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 259))]
    #[x_kube(validation = form(PROXY, "outboundProxy: write a host and a port, such as sbc.example.com:5060"))]
    pub outbound_proxy: Option<String>,
    /// Its phones that are told of their mailboxes' MWI by NOTIFY without a subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<TrunkNotify>,
    /// Its most calls.
    #[serde(default)]
    pub limits: TrunkLimits,
}

/// A transport of SIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum TrunkTransport {
    /// Datagrams, to the port sip.
    Udp,
    /// Connections, to the port sip.
    Tcp,
    /// TLS, to the port tls.
    Tls,
}

fn default_transports() -> Vec<TrunkTransport> {
    vec![TrunkTransport::Udp]
}

impl Trunk {
    /// Whether its requests come by that.
    pub fn uses(&self, transport: TrunkTransport) -> bool {
        self.transports.contains(&transport)
    }
}

/// Certificates by which a trunk is known: issued by that authority, for one of these names.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientCertificates {
    /// The authority.
    pub ca_ref: CaRef,
    /// Hosts or addresses, one of which is among the certificate's alternative names, such as sbc.example.com.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 253)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = forms(
            "[A-Za-z0-9]([-A-Za-z0-9.:]*[A-Za-z0-9])?",
            "names: write hosts or addresses, such as sbc.example.com"
        )
    )]
    pub names: Vec<String>,
}

/// Digest authentication, of RFC 8760.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrunkDigest {
    /// A Secret whose key users has lines NAME:PASSWORD. A change is used within minutes, without new pods.
    pub secret_ref: Reference,
    /// Algorithms that are offered, the best first: SHA-256, MD5.
    #[serde(default = "default_algorithms")]
    #[schemars(length(min = 1, max = 2), extend("x-kubernetes-list-type" = "atomic"))]
    pub algorithms: Vec<DigestAlgorithm>,
}

/// An algorithm by which a password is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DigestAlgorithm {
    /// RFC 8760.
    #[serde(rename = "SHA-256")]
    Sha256,
    /// For telephones that know nothing else.
    #[serde(rename = "MD5")]
    Md5,
}

fn default_algorithms() -> Vec<DigestAlgorithm> {
    vec![DigestAlgorithm::Sha256, DigestAlgorithm::Md5]
}

/// Headers of a trunk's requests that are believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trust {
    /// P-Asserted-Identity names the caller.
    #[serde(default)]
    pub identity: bool,
    /// History-Info, Diversion and the parameters of RFC 4458 name the mailbox.
    #[serde(default)]
    pub redirection: bool,
}

/// A prefix of a number, and what stands for it in a mailbox's name.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrunkNumber {
    /// Beginning of the number, such as +4420794600.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(validation = form(r"\+?[0-9*#]*", "prefix: write what the number begins with, such as +4420794600"))]
    pub prefix: String,
    /// The replacement, such as nothing or 10.
    #[serde(default)]
    #[schemars(length(max = 32))]
    #[x_kube(validation = form("[A-Za-z0-9._+-]*", "replaceWith: write the beginning of a mailbox's name, such as 10"))]
    pub replace_with: String,
    /// Only numbers of that many characters, the prefix counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 32))]
    pub digits: Option<i32>,
}

/// Most calls of a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrunkLimits {
    /// Calls at once, in each pod.
    #[serde(default = "default_calls")]
    #[schemars(range(min = 1, max = 10_000))]
    pub calls: i32,
    /// Calls that begin within a second, in each pod; any number when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000))]
    pub calls_per_second: Option<i32>,
    /// Calls at once of one caller who tells their number, in each pod; any number when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub calls_per_caller: Option<i32>,
}

impl Default for TrunkLimits {
    fn default() -> Self {
        Self { calls: default_calls(), calls_per_second: None, calls_per_caller: None }
    }
}

fn default_calls() -> i32 {
    500
}
