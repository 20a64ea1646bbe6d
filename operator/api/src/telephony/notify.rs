//! Phones of a trunk that are told of their mailboxes' MWI though they never subscribed.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

use super::trunk::TrunkTransport;
use crate::references::Reference;
use crate::rules::{form, invalid};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A host and a port.
pub(super) const PROXY: &str =
    r"([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]):[1-9][0-9]{0,4}";

/// Where a trunk's phones are told, and of which mailboxes.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrunkNotify {
    /// The proxy that each NOTIFY is sent to, with its port, such as pbx.example.com:5060; the trunk's outboundProxy when absent. Over
    /// UDP it must answer from the trunk's addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 259))]
    #[x_kube(validation = form(PROXY, "proxy: write a host and a port, such as pbx.example.com:5060"))]
    pub proxy: Option<String>,
    /// The transport by which the proxy is reached, one of the trunk's: UDP, TCP or TLS.
    #[serde(default = "by_datagrams")]
    pub transport: TrunkTransport,
    /// A Secret whose key users has a line NAME:PASSWORD, by which the proxy's challenge is answered; without it the proxy must
    /// take requests from the pods' addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<Reference>,
    /// Address of a mailbox's phone, such as `sip:{mailbox}@pbx.example.com`.
    #[schemars(length(min = 15, max = 255))]
    #[x_kube(validation = form(
        r"sip:[-A-Za-z0-9._+*]*\{mailbox\}[-A-Za-z0-9._+*]*@[-A-Za-z0-9.:;=\[\]]+",
        "uri: write an address with {mailbox}, such as sip:{mailbox}@pbx.example.com"
    ))]
    pub uri: String,
    /// The mailboxes, by ranges of numbers; one that doesn't exist is told of once it does.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub mailboxes: Vec<MailboxRange>,
}

fn by_datagrams() -> TrunkTransport {
    TrunkTransport::Udp
}

/// Mailboxes whose names are numbers of as many digits.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = invalid(
    "!has(self.last) || (self.last.size() == self.first.size() && self.first <= self.last && \
    int(self.last) - int(self.first) < 1000)",
    "last: write a number of as many digits as first has, not below it, and at most 999 above"
).field_path(".last"))]
pub struct MailboxRange {
    /// The first, such as 1000.
    #[schemars(length(min = 1, max = 15))]
    #[x_kube(validation = form("[0-9]+", "first: write a mailbox's number, such as 1000"))]
    pub first: String,
    /// The last, such as 1999; the first alone when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15))]
    #[x_kube(validation = form("[0-9]+", "last: write a mailbox's number, such as 1999"))]
    pub last: Option<String>,
}

impl MailboxRange {
    /// Its mailboxes. What the API server refuses has none.
    pub fn count(&self) -> u64 {
        let last = self.last.as_ref().unwrap_or(&self.first);
        match (self.first.parse::<u64>(), last.parse::<u64>()) {
            (Ok(first), Ok(last)) => (last + 1).saturating_sub(first),
            _ => 0,
        }
    }
}
