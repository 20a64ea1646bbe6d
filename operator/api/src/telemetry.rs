//! Export of traces from a tenant's pods, by OTLP.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

use super::references::CaRef;
use super::rules::form;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Nothing unless something is named.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Telemetry {
    /// The collector of spans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otlp: Option<Otlp>,
}

/// A collector that takes OTLP over HTTP, as protobuf.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Otlp {
    /// Its base, such as `http://collector.monitoring:4318`; /v1/traces is put behind it.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = form(
        r"https?://[A-Za-z0-9._:\[\]-][A-Za-z0-9._:/\[\]-]*",
        "endpoint: write the collector's URL, such as http://collector.monitoring:4318"
    ))]
    pub endpoint: String,
    /// The authority of the collector's certificate, if it is a private one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_ref: Option<CaRef>,
    /// How many of a hundred traces that begin in a pod are exported. One that a caller began is if the caller samples it.
    #[serde(default = "default_percent")]
    #[schemars(range(min = 0, max = 100))]
    pub sample_percent: i32,
}

fn default_percent() -> i32 {
    100
}
