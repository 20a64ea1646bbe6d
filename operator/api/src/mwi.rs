//! Message waiting indication: how event streams are kept right, and who is told of MWI states by signed requests.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

use super::references::{CaRef, Reference};
use super::rules::{form, forms, wait_between};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// How event streams are kept, and who else is told.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mwi {
    /// How long an event stream lives at most, such as 1h; the client then connects again. 1m to 24h.
    #[serde(default = "default_stream_lifetime")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = wait_between("1m", "24h", "streamLifetime: write 1m to 24h"))]
    pub stream_lifetime: String,
    /// How often MWI states that somebody watches are compared with the store, 1s to 1h; when absent 30s on a volume, and
    /// 5m on a store whose requests cost money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = wait_between("1s", "1h", "reconcileEvery: write 1s to 1h"))]
    pub reconcile_every: Option<String>,
    /// Systems that can't hold a stream: each is told by signed HTTPS requests (Standard Webhooks), and has a memory of its
    /// own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub webhooks: Vec<Webhook>,
}

/// A receiver of MWI states.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// Names it in metrics and conditions, such as desk. Under another name or URL it is told of every mailbox again.
    #[schemars(length(min = 1, max = 56))]
    #[x_kube(validation = form("[a-z0-9-]+", "webhooks.name: write lower-case letters, digits and dashes"))]
    pub name: String,
    /// Where the requests go, such as `https://pbx.example.com/mwi`. Redirects are not followed.
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(validation = form(r"https://\S+", "url: write a URL that begins with https://"))]
    pub url: String,
    /// Secret with the key secret: one or more of the form whsec_BASE64, separated by white space, the newest first.
    pub secret_ref: Reference,
    /// The authority of the receiver's certificate, if it is a private one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_ref: Option<CaRef>,
    /// Addresses that aren't public and may be connected to nevertheless, such as 10.20.0.0/16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 64)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = forms(
        "[0-9a-fA-F.:]+/[0-9]{1,3}", "allowedPrivateRanges: write ranges of addresses, such as 10.20.0.0/16"
    ))]
    pub allowed_private_ranges: Vec<String>,
}

fn default_stream_lifetime() -> String {
    "1h".into()
}
