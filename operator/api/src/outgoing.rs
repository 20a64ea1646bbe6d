//! The way of the pods' requests to hosts outside the cluster.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

use super::rules::{form, forms, required};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A proxy, as HTTP_PROXY, HTTPS_PROXY and NO_PROXY tell programs of it. E-mails and calls don't go through it.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = required(
        "has(self.httpProxy) || has(self.httpsProxy)",
        "proxy: write httpsProxy, httpProxy, or both"
    ).field_path(".httpsProxy")
)]
pub struct Proxy {
    /// For http:// URLs, such as `http://proxy.example.com:3128`. One with a password goes into the environment by
    /// podTemplate, from a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = form(PROXY, "httpProxy: write http:// or https://, a host and a port, without user and password"))]
    pub http_proxy: Option<String>,
    /// For https:// URLs, such as `http://proxy.example.com:3128`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = form(PROXY, "httpsProxy: write http:// or https://, a host and a port, without user and password"))]
    pub https_proxy: Option<String>,
    /// Hosts, domains and ranges of addresses that are reached directly, such as .example.com or 10.0.0.0/8. The cluster's
    /// own names are added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = forms(
            r"\.?[A-Za-z0-9_-][A-Za-z0-9._-]*|[0-9a-fA-F.:]+(/[0-9]{1,3})?",
            "noProxy: write hosts, domains that begin with a dot, or ranges such as 10.0.0.0/8"
        )
    )]
    pub no_proxy: Vec<String>,
}

/// Where a proxy is.
const PROXY: &str = r"https?://([A-Za-z0-9._-]+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?/?";
