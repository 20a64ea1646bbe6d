//! The messages of kubelet's plugin registration (v1) and of CSI (v1) that an ephemeral driver needs.
//!
//! Field numbers are those of the two specifications; fields that we neither read nor write are left out.

use std::collections::HashMap;

/// Answer of Registration/GetInfo.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PluginInfo {
    #[prost(string, tag = "1")]
    pub(super) kind: String,
    #[prost(string, tag = "2")]
    pub(super) name: String,
    #[prost(string, tag = "3")]
    pub(super) endpoint: String,
    #[prost(string, repeated, tag = "4")]
    pub(super) supported_versions: Vec<String>,
}

/// Answer of Identity/GetPluginInfo.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct DriverInfo {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) vendor_version: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct NodeInfo {
    #[prost(string, tag = "1")]
    pub(super) node_id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PublishRequest {
    #[prost(string, tag = "4")]
    pub(super) target_path: String,
    #[prost(map = "string, string", tag = "8")]
    pub(super) volume_context: HashMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct UnpublishRequest {
    #[prost(string, tag = "2")]
    pub(super) target_path: String,
}
